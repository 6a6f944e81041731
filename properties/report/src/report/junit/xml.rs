//! Elements that JUnit XML has room for and junit-report cannot write, added to its output: properties of suites and of
//! tests, the
//! number of tests that were skipped, and totals.
//!
//! Elements and attributes are those of `junit-10.xsd` of Jenkins' xUnit plugin, and of pytest for properties of a test.

use std::fmt::Display;
use std::slice;

use junit_report::TestSuite;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Error, Reader, Writer};

/// Names and values, in order. A name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties(Vec<(String, String)>);

impl Properties {
    pub(super) fn add(&mut self, name: &str, value: impl Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }
}

/// A suite for junit-report, and the properties of it and of each of its tests, in their order.
pub(super) struct Suite {
    pub(super) written: TestSuite,
    pub(super) properties: Properties,
    pub(super) of_cases: Vec<Properties>,
}

/// Adds to the output of junit-report for `suites` what it lacks.
///
/// # Errors
/// If that output is no XML.
pub(super) fn complete(xml: &str, suites: &[Suite]) -> Result<String, Error> {
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::new(Vec::new());
    let (mut left, mut cases) = (suites.iter(), slice::Iter::default());
    loop {
        let event = reader.read_event()?;
        let (start, is_empty) = match &event {
            Event::Eof => return Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned()),
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            _ => {
                writer.write_event(event)?;
                continue;
            }
        };
        match start.name().as_ref() {
            b"testsuites" => open(&mut writer, &totals(start, suites), &Properties::default(), is_empty)?,
            b"testsuite" => {
                // junit-report writes one element for each suite and for each test, in order.
                let suite = left.next().expect("an element for each suite");
                cases = suite.of_cases.iter();
                let skipped = suite.written.skipped().to_string();
                let start = start.to_owned().with_attributes([("skipped", skipped.as_str())]);
                open(&mut writer, &start, &suite.properties, is_empty)?;
            }
            b"testcase" => open(&mut writer, start, cases.next().expect("an element for each test"), is_empty)?,
            _ => writer.write_event(event.borrow())?,
        }
    }
}

/// The root with the sums over all suites.
fn totals<'a>(root: &BytesStart<'a>, suites: &[Suite]) -> BytesStart<'a> {
    let sum = |of: fn(&TestSuite) -> usize| suites.iter().map(|suite| of(&suite.written)).sum::<usize>().to_string();
    let seconds: f64 = suites.iter().map(|suite| suite.written.time().as_seconds_f64()).sum();
    root.clone().with_attributes([
        ("name", "credence"),
        ("tests", &sum(TestSuite::tests)),
        ("errors", &sum(TestSuite::errors)),
        ("failures", &sum(TestSuite::failures)),
        ("skipped", &sum(TestSuite::skipped)),
        ("time", &format!("{seconds:.3}")),
    ])
}

/// Writes the start of an element and its properties; all of the element if it `is_empty`.
fn open(
    writer: &mut Writer<Vec<u8>>,
    start: &BytesStart<'_>,
    Properties(properties): &Properties,
    is_empty: bool,
) -> Result<(), Error> {
    if is_empty && properties.is_empty() {
        writer.write_event(Event::Empty(start.borrow()))?;
        return Ok(());
    }
    writer.write_event(Event::Start(start.borrow()))?;
    if !properties.is_empty() {
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in properties {
            let property = BytesStart::new("property").with_attributes([("name", &**name), ("value", &**value)]);
            writer.write_event(Event::Empty(property))?;
        }
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
    }
    if is_empty {
        writer.write_event(Event::End(start.to_end()))?;
    }
    Ok(())
}
