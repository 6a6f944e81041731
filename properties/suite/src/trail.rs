//! The trail of each case: what was asked of the API server on its behalf, what it waited for and how that ended, and the
//! evidence that it came to, with the time of each. One file per case answers why it ended as it did.
//!
//! It is made of spans and events of `tracing`: a span for the slot, whose events concern all of its cases, and spans for
//! the cases in it. No event has a credential's value: requests are told by method, path and status, everything else by
//! texts that reports have as well.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_core::id::CaseId;
use credence_core::text::chain;
use credence_report::unknown::Unknown;
use credence_report::verdict::{CaseRecord, Outcome, Violation};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Span, Subscriber, debug, debug_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// The directory beside the reports that the trails are in.
pub const DIRECTORY: &str = "trail";
/// The most lines that a slot keeps: what a case of an hour would write must not fill memory or disk.
const MOST_LINES: usize = 20_000;
/// The span of kube for a request (kube-client `src/client/builder.rs`).
const REQUEST: &str = "HTTP";
const SLOT: &str = "slot";
const CASE: &str = "case";

/// The file of a case's trail, relative to the directory of the reports.
pub fn file(id: CaseId) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{}.log", id.file_stem()))
}

/// The span of a slot: what happens in it concerns all of these cases, unless it is in the span of one of them.
pub(crate) fn slot(cases: impl IntoIterator<Item = CaseId>) -> Span {
    let cases: Vec<String> = cases.into_iter().map(|id| id.to_string()).collect();
    debug_span!(SLOT, cases = cases.join(" "))
}

/// A span of what concerns one case of a slot alone; a case may have several, of any place that names them so.
fn case(id: CaseId) -> Span {
    debug_span!(CASE, case = id.to_string())
}

/// Adds how a case ended; in the span of its slot.
pub(crate) fn ended(record: &CaseRecord) {
    case(record.id).in_scope(|| match &record.outcome {
        Outcome::Held => debug!("held"),
        Outcome::Violated(Violation { reason, .. }) => debug!("violated: {reason}"),
        Outcome::Unknown(Unknown { cause, reason }) => debug!("unknown ({cause}): {reason}"),
    });
}

/// The directory of the trails cannot be emptied or made.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the trails of the cases")]
pub struct TrailError(#[from] FileError);

/// Writes the trails of a run, as a layer of the subscriber and for whoever knows the directory. Clones are the same trail.
#[derive(Clone, Default)]
pub struct Trail {
    out: Arc<Mutex<Option<PathBuf>>>,
}

impl Debug for Trail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Trail").field(&self.out).finish()
    }
}

impl Trail {
    /// Begins to write trails beside the reports in `out`, after removing those of an earlier run. Slots that end before it
    /// leave nothing.
    ///
    /// # Errors
    /// When the directory cannot be emptied or made.
    pub(crate) fn begin(&self, out: &Path) -> Result<(), TrailError> {
        let directory = out.join(DIRECTORY);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", directory, error)),
            _ => fs::create_dir_all(&directory).map_err(FileError::of("create", &directory)),
        }?;
        *self.out.lock().unwrap_or_else(PoisonError::into_inner) = Some(out.to_owned());
        Ok(())
    }

    /// Lets through what the trail is made of, whatever the user's own log shows.
    pub fn filter<S>() -> impl Filter<S> {
        tracing_subscriber::filter::filter_fn(is_of_trail)
    }

    fn write(&self, slot: &Slot) -> Result<(), FileError> {
        let Some(out) = self.out.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let lines = slot.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for case in &slot.cases {
            let mut text = String::new();
            for Line { at, of, what } in lines.iter().filter(|line| line.of.is_none_or(|of| of == *case)) {
                let scope = if of.is_some() { "case" } else { "slot" };
                // Writing to a String cannot fail.
                writeln!(text, "{:9.3} s  {scope}  {what}", at.as_secs_f64()).ok();
            }
            if lines.len() == MOST_LINES {
                text.push_str("and more than is kept\n");
            }
            let path = out.join(file(*case));
            fs::write(&path, text).map_err(FileError::of::<FileError>("write", &path))?;
        }
        Ok(())
    }
}

fn is_of_trail(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target.starts_with("credence") || (metadata.is_span() && metadata.name() == REQUEST && target.starts_with("kube"))
}

struct Slot {
    began: Instant,
    cases: Vec<CaseId>,
    lines: Mutex<Vec<Line>>,
}

struct Line {
    at: Duration,
    /// The case that it is about; none for all of the slot.
    of: Option<CaseId>,
    what: String,
}

/// The case that a span is about.
struct Case(CaseId);

struct Request {
    began: Instant,
    fields: BTreeMap<&'static str, String>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trail {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut take = |name| fields.0.remove(name).unwrap_or_default();
        match span.name() {
            SLOT => {
                let cases = take("cases").split(' ').filter_map(|id| id.parse().ok()).collect();
                span.extensions_mut().insert(Slot { began: Instant::now(), cases, lines: Mutex::default() });
            }
            CASE => {
                if let Ok(id) = take("case").parse() {
                    span.extensions_mut().insert(Case(id));
                }
            }
            REQUEST => span.extensions_mut().insert(Request { began: Instant::now(), fields: fields.0 }),
            _ => {}
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(request) = span.extensions_mut().get_mut::<Request>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            request.fields.append(&mut fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(what), Some(span)) = (fields.0.remove("message"), context.event_span(event)) {
            add(&span, what);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let request = span.extensions_mut().remove::<Request>();
        if let Some(Request { began, fields }) = request {
            let field = |name| fields.get(name).map_or("", String::as_str);
            let (method, status) = (field("http.method"), field("http.status_code"));
            let status = if status.is_empty() { "no answer" } else { status };
            add(&span, format!("{method} {}: {status}, {:.0?}", path(field("http.url")), began.elapsed()));
        }
        let slot = span.extensions_mut().remove::<Slot>();
        if let Some(slot) = slot
            && let Err(error) = self.write(&slot)
        {
            // The layer's own events reach the user's log alone: their target is none of the trail's.
            tracing::warn!(target: "trail", "{}", chain(&error));
        }
    }
}

/// A URL without its server, which is the same for all.
fn path(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').map_or("", |slash| &rest[slash..])
}

/// Adds a line to the slot around a span, for the case around it if there is one.
fn add<S: for<'a> LookupSpan<'a>>(span: &SpanRef<'_, S>, what: String) {
    let mut of = None;
    for span in span.scope() {
        let extensions = span.extensions();
        if of.is_none() {
            of = extensions.get::<Case>().map(|case| case.0);
        }
        if let Some(slot) = extensions.get::<Slot>() {
            let mut lines = slot.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < MOST_LINES {
                lines.push(Line { at: slot.began.elapsed(), of, what });
            }
            return;
        }
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::registry::PROPERTIES;

    fn id(index: u32) -> CaseId {
        CaseId { property: PROPERTIES[0].meta().id, seed: 7, index }
    }

    /// Trail of each of two cases after `act` in the span of their slot.
    fn trails(act: impl FnOnce()) -> [String; 2] {
        let (out, trail) = (tempfile::tempdir().unwrap(), Trail::default());
        trail.begin(out.path()).unwrap();
        let subscriber = tracing_subscriber::registry().with(trail.with_filter(Trail::filter()));
        tracing::subscriber::with_default(subscriber, || slot([id(0), id(1)]).in_scope(act));
        [0, 1].map(|index| fs::read_to_string(out.path().join(file(id(index)))).unwrap())
    }

    #[test]
    fn each_case_has_the_lines_of_its_slot_and_its_own_and_not_those_of_its_neighbour() {
        let [first, second] = trails(|| {
            debug!("source written");
            case(id(0)).in_scope(|| debug!("copy seen"));
            case(id(1)).in_scope(|| debug_span!("inner").in_scope(|| debug!("copy missed")));
        });
        let of = |text: &str| text.lines().map(|line| line[13..].to_owned()).collect::<Vec<_>>();
        assert_eq!(of(&first), ["slot  source written", "case  copy seen"]);
        assert_eq!(of(&second), ["slot  source written", "case  copy missed"]);
    }

    #[test]
    fn a_request_is_told_by_method_path_and_status_without_its_server() {
        let [first, _] = trails(|| {
            let span = debug_span!(target: "kube_client::client::builder", REQUEST, http.method = "GET",
                http.url = "https://127.0.0.1:1234/api/v1/namespaces?limit=1", http.status_code = tracing::field::Empty);
            span.record("http.status_code", 404);
        });
        assert!(first.contains("slot  GET /api/v1/namespaces?limit=1: 404, "), "{first}");
        assert!(!first.contains("127.0.0.1"), "{first}");
    }

    #[test]
    fn the_trails_of_an_earlier_run_are_removed() {
        let out = tempfile::tempdir().unwrap();
        let old = out.path().join(file(id(3)));
        fs::create_dir_all(old.parent().unwrap()).unwrap();
        fs::write(&old, "old").unwrap();
        Trail::default().begin(out.path()).unwrap();
        assert!(!old.exists());
    }
}
