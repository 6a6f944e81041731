use super::*;

#[tokio::test]
async fn a_given_program_is_asked_its_version_once_in_a_run() {
    let bench = Bench::new(BROKEN);
    let (helm, asked) = (bench.path("helm"), bench.path("asked"));
    test_program::write(&helm, &format!("#!/bin/sh\necho >> {}\necho v4.1.0\n", asked.display()));
    let mut options = bench.build_only();
    options.overrides.insert(Part::Helm, helm);
    let of_consumers = Options { priority: Priority::Low, ..options.clone() };
    let (first, second) =
        tokio::join!(obtain(&options, &[Part::Helm], &Quiet), obtain(&of_consumers, &[Part::Helm], &Quiet));
    for programs in [first.unwrap(), second.unwrap(), obtain(&options, &[Part::Helm], &Quiet).await.unwrap()] {
        assert_eq!(programs.version(Part::Helm), "4.1.0");
    }
    let times = || fs::read_to_string(&asked).unwrap().lines().count();
    assert_eq!(times(), 1);
    let of_another_run = Options { user_programs: UserPrograms::default(), ..options };
    obtain(&of_another_run, &[Part::Helm], &Quiet).await.unwrap();
    assert_eq!(times(), 2);
}

#[tokio::test]
async fn a_program_that_could_not_be_used_is_looked_at_again() {
    let bench = Bench::new(BROKEN);
    let mut options = bench.build_only();
    options.overrides.insert(Part::Helm, bench.path("helm"));
    obtain(&options, &[Part::Helm], &Quiet).await.unwrap_err();
    test_program::write(&bench.path("helm"), "#!/bin/sh\necho v4.1.0\n");
    assert_eq!(obtain(&options, &[Part::Helm], &Quiet).await.unwrap().version(Part::Helm), "4.1.0");
}
