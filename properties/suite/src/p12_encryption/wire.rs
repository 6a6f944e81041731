//! Traffic between the parts of the cluster while the cases of a slot live.

use std::collections::BTreeSet;
use std::ops::Range;
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

/// Controls that are sent at a time. Of a capture that loses three packets of ten, each of which loopback shows twice, one run in
/// ten thousand sees all of them.
const CONTROLS: u16 = 100;

/// A capture that looks for values.
pub(super) struct Wire {
    capture: Capture,
    traffic: Traffic,
    controls: Arc<Controls>,
    found: Arc<Mutex<BTreeSet<String>>>,
}

impl Wire {
    /// Begins to look for `values`, once the first controls have been seen.
    ///
    /// # Errors
    /// When the capture cannot be started or does not see the controls.
    pub(super) async fn listen<'a>(
        traffic: Traffic,
        values: impl Iterator<Item = &'a Credential>,
    ) -> Result<Self, WireError> {
        let (values, controls) = (LeakScan::new(values)?, Arc::new(Controls::new(Credential::random())?));
        let found = Arc::new(Mutex::new(BTreeSet::new()));
        #[cfg(feature = "faults")]
        let drops = faults::is_on(OwnFault::DroppedPackets);
        let look = {
            let (controls, found) = (Arc::clone(&controls), Arc::clone(&found));
            move |packet: &[u8]| {
                #[cfg(feature = "faults")]
                if drops {
                    return;
                }
                controls.see(packet);
                if let Some(leak) = values.find(packet) {
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(leak.to_string());
                }
            }
        };
        let wire = Self { capture: Capture::start(&traffic, look)?, traffic, controls, found };
        wire.see_controls(0..CONTROLS).await?;
        Ok(wire)
    }

    /// Outcome, and the number of packets. Everything before the controls that are sent now has been looked at when the
    /// last of them has; one that is not seen says that others may be lost as well.
    pub(super) async fn judge(self) -> (Outcome, u64) {
        let seen = self.see_controls(CONTROLS..2 * CONTROLS).await;
        let packets = self.capture.packets();
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match (found.first(), seen) {
            (Some(what), _) => verdict::violated(format!("traffic between the parts holds {what}")),
            (None, Err(error)) => Outcome::Unknown(observation::unknown(&error)),
            (None, Ok(())) => Outcome::Held,
        };
        (outcome, packets)
    }

    async fn see_controls(&self, numbers: Range<u16>) -> Result<(), WireError> {
        for number in numbers.clone() {
            capture::send_plain(&self.traffic, &self.controls.numbered(number)).await?;
        }
        let seen = wait::poll("all controls seen in the traffic", SEEN, POLL_INTERVAL, || async {
            match self.controls.missing(numbers.clone()) {
                0 => Progress::Done(()),
                missing => Progress::NotYet(format!("{missing} of {} not seen", numbers.len())),
            }
        });
        Ok(seen.await?)
    }
}

/// True if the capture sees what it must see to be believed; none where this process may not capture.
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

/// Values that have to be seen in the traffic, for what is not seen to say anything: a value with a number behind it.
struct Controls {
    value: Credential,
    scan: LeakScan,
    seen: Mutex<BTreeSet<u16>>,
}

impl Controls {
    fn new(value: Credential) -> Result<Self, LeakScanError> {
        Ok(Self { scan: LeakScan::new([&value])?, value, seen: Mutex::default() })
    }

    /// The bytes of one of them.
    fn numbered(&self, number: u16) -> Vec<u8> {
        [self.value.expose(), &number.to_be_bytes()].concat()
    }

    /// Takes the number of the control that is in a packet, if there is one.
    fn see(&self, packet: &[u8]) {
        // The scan is fast, and few packets have one.
        if self.scan.find(packet).is_none() {
            return;
        }
        let value = self.value.expose();
        let place = packet.windows(value.len()).position(|window| window == value);
        let number = place.and_then(|place| packet.get(place + value.len()..)?.first_chunk::<2>());
        if let Some(number) = number {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(u16::from_be_bytes(*number));
        }
    }

    /// Number of these that were not seen.
    fn missing(&self, numbers: Range<u16>) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.filter(|number| !seen.contains(number)).count()
    }
}

/// Why nothing can be said about the traffic.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("failed to read the traffic")]
    Capture(#[from] CaptureError),
    /// There are too many values.
    #[error("failed to prepare the search of the traffic")]
    Scan(#[from] LeakScanError),
    /// The capture does not see what is there.
    #[error("failed to see the controls in the traffic")]
    NoControl(#[from] wait::WaitError),
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Number of controls that are missing where so many percent of the packets are lost, of two for each.
    fn missing(lost: usize) -> usize {
        let controls = Controls::new(Credential::random()).unwrap();
        let packets = (0..CONTROLS).flat_map(|number| [number, number]).map(|number| controls.numbered(number));
        for (place, packet) in packets.enumerate() {
            // Scattered over all of them.
            if (place * place * 31 + place * 17) % 101 >= lost {
                controls.see(&[b"head of it", &packet[..], b"and more"].concat());
            }
        }
        controls.missing(0..CONTROLS)
    }

    #[rstest]
    #[case::none(0, true)]
    #[case::three_of_ten(30, false)]
    #[case::half(50, false)]
    fn a_capture_that_loses_packets_does_not_see_all_controls(#[case] lost: usize, #[case] sees_all: bool) {
        assert_eq!(missing(lost) == 0, sees_all);
    }

    #[test]
    fn what_is_cut_before_its_number_is_no_control() {
        let controls = Controls::new(Credential::random()).unwrap();
        let whole = controls.numbered(7);
        controls.see(&whole[..whole.len() - 1]);
        assert_eq!(controls.missing(7..8), 1);
        controls.see(&whole);
        assert_eq!(controls.missing(7..8), 0);
    }
}
