//! What travels between the parts of the cluster while the cases of a slot live.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credence_cluster::evidence::capture::{self, Capture, CaptureError, Traffic};
use credence_core::credential::Credential;
use credence_core::leak_scan::{LeakScan, LeakScanError};
use credence_report::verdict::{self, Outcome};
use credence_watch::wait::{self, Progress};

#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};
use crate::observation;

/// Time that a packet may be on its way through the capture.
const SEEN: Duration = Duration::from_secs(10);
/// Time between two polls: the capture offers no watch.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A capture that looks for values.
pub(super) struct Wire {
    capture: Capture,
    traffic: Traffic,
    control: Credential,
    /// Packets with the control.
    controls: Arc<AtomicU64>,
    found: Arc<Mutex<BTreeSet<String>>>,
}

impl Wire {
    /// Begins to look for `values`, once the control has been seen.
    ///
    /// # Errors
    /// When the capture cannot be started or does not see the control.
    pub(super) async fn listen<'a>(
        traffic: Traffic,
        values: impl Iterator<Item = &'a Credential>,
    ) -> Result<Self, WireError> {
        let control = Credential::random();
        let (values, of_control) = (LeakScan::new(values)?, LeakScan::new([&control])?);
        let (controls, found) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
        #[cfg(feature = "faults")]
        let drops = faults::is_on(OwnFault::DroppedPackets);
        let look = {
            let (controls, found) = (Arc::clone(&controls), Arc::clone(&found));
            move |packet: &[u8]| {
                #[cfg(feature = "faults")]
                if drops {
                    return;
                }
                if of_control.find(packet).is_some() {
                    controls.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(leak) = values.find(packet) {
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(leak.to_string());
                }
            }
        };
        let wire = Self { capture: Capture::start(&traffic, look)?, traffic, control, controls, found };
        wire.see_control().await?;
        Ok(wire)
    }

    /// What was seen, and the number of packets. Everything before the control that is sent now has been looked at when the
    /// control has.
    pub(super) async fn judge(self) -> (Outcome, u64) {
        let seen = self.see_control().await;
        let packets = self.capture.packets();
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match (found.first(), seen) {
            (Some(what), _) => verdict::violated(format!("traffic between the parts holds {what}")),
            (None, Err(error)) => Outcome::Unknown(observation::unknown(&error)),
            (None, Ok(())) => Outcome::Held,
        };
        (outcome, packets)
    }

    async fn see_control(&self) -> Result<(), WireError> {
        let before = self.controls.load(Ordering::Relaxed);
        capture::send_plain(&self.traffic, self.control.expose()).await?;
        let seen = wait::poll("the control seen in the traffic", SEEN, POLL_INTERVAL, || async {
            match self.controls.load(Ordering::Relaxed) > before {
                true => Progress::Done(()),
                false => Progress::NotYet("not seen".to_owned()),
            }
        });
        Ok(seen.await?)
    }
}

/// Whether the capture sees what it must see to be believed; none where this process may not capture.
#[cfg(feature = "faults")]
pub(crate) fn sees_its_control() -> Option<bool> {
    if Capture::unsupported(&Traffic::Loopback).is_some() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let wire = Wire::listen(Traffic::Loopback, [].into_iter()).await;
        Some(match wire {
            Ok(wire) => wire.judge().await.0 == Outcome::Held,
            Err(_) => false,
        })
    })
}

/// Why nothing can be said about the traffic.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// There is no capture.
    #[error("failed to look at the traffic")]
    Capture(#[from] CaptureError),
    /// There are too many values.
    #[error("failed to prepare the search of the traffic")]
    Scan(#[from] LeakScanError),
    /// The capture does not see what is there.
    #[error("failed to see the control in the traffic")]
    NoControl(#[from] wait::WaitError),
}
