//! Inputs from which the image follows. Its tag is a digest of all that, so an image that is there is the one that is wanted.

use super::fingerprint::fingerprint;
use super::{NodeImageError, context, debian, images};
use crate::supply::{self, Options, Part};

/// Raised when other code than the recipes below changes what is in the image.
const REVISION: u32 = 1;
/// The image's name in the engine.
///
/// # Errors
/// When a program that the user gave cannot be read.
pub(super) fn name(options: &Options) -> Result<String, NodeImageError> {
    let parts = super::PARTS
        .into_iter()
        .map(|part| Ok(format!("{part} {}", supply::identity(options, part)?)))
        .collect::<Result<Vec<String>, NodeImageError>>()?;
    Ok(named(&lines(parts)))
}

/// All inputs, with these parts.
fn lines(mut lines: Vec<String>) -> Vec<String> {
    // Files that kind makes a node of come from its module, whichever program is used.
    lines.push(format!("files of kind {}", Part::Kind.pin()));
    lines.push(format!("revision {REVISION}"));
    lines.extend(debian::NODE.recipe());
    lines.extend(images::recipe());
    lines.extend(context::recipe());
    lines
}

fn named(lines: &[String]) -> String {
    format!("credence/node:v{}-{}", Part::Kubelet.version(), fingerprint(lines))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::super::fingerprint::DIGITS;
    use super::*;

    #[test]
    fn the_name_says_the_version_and_has_a_tag_of_fixed_length() {
        let name = named(&lines(Vec::new()));
        let digest = name.strip_prefix("credence/node:v1.36.3-").unwrap();
        assert!(digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }

    #[test]
    fn each_input_changes_the_name() {
        let all = lines(super::super::PARTS.map(|part| format!("{part} {}", part.pin())).to_vec());
        let changed = (0..all.len()).map(|index| {
            let mut lines = all.clone();
            lines[index].push('x');
            named(&lines)
        });
        let names: BTreeSet<String> = changed.chain([named(&all)]).collect();
        assert_eq!(names.len(), all.len() + 1);
    }

    #[test]
    fn every_file_of_ours_is_an_input() {
        let all = lines(Vec::new()).join("\n");
        for text in ["STOPSIGNAL", "credence-images", "ptp", "KUBE-IPTABLES-HINT", "systemd-sysv", "ldd"] {
            assert!(all.contains(text), "{text}");
        }
    }

    #[test]
    fn borders_between_lines_count() {
        assert_ne!(fingerprint(&["ab".to_owned(), "c".to_owned()]), fingerprint(&["a".to_owned(), "bc".to_owned()]));
    }

    #[test]
    fn a_given_program_counts_by_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("etcd");
        let mut options = Options::new(directory.path().to_owned());
        let pinned = name(&options).unwrap();
        options.overrides.insert(Part::Etcd, program.clone());
        assert!(name(&options).is_err());
        let with = |content: &str| {
            fs::write(&program, content).unwrap();
            name(&options).unwrap()
        };
        let (one, other) = (with("one"), with("other"));
        assert!(pinned != one && one != other);
        assert_eq!(with("one"), one);
    }
}
