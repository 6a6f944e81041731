//! Everything that clusters of every kind have in common as they start.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

/// Time that a part of the set-up may take before it counts as failed.
pub const SET_UP: Duration = Duration::from_mins(3);
/// A setting of Go's garbage collector for programs of the embedded cluster: it took a quarter of the API server's processor
/// time, and there is memory for collecting a fourth as often.
pub(crate) const COLLECT_LATER: (&str, &str) = ("GOGC", "400");
/// The user that kube-apiserver is to kubelets, as kubeadm names it.
pub(crate) const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";
/// Time that the API server may take to be ready; it takes about 3 s on two idle cores.
const READY: Duration = Duration::from_mins(3);
/// Time between two polls of a server that is starting.
const PROBE: Duration = Duration::from_millis(50);

/// Waits for readiness and for the ConfigMap without which kube-controller-manager exits at once.
pub(crate) async fn wait_until_ready(client: &Client) -> Result<(), WaitError> {
    wait::poll("kube-apiserver ready", READY, PROBE, || async {
        // Only an invalid header or path could make this fail, and there is neither.
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a literal path makes a request");
        match client.request_text(request).await {
            Ok(_) => Progress::Done(()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    wait::poll("extension-apiserver-authentication filled", READY, PROBE, || async {
        match maps.get("extension-apiserver-authentication").await {
            Ok(map) if map.data.iter().flatten().any(|(key, _)| key == "client-ca-file") => Progress::Done(()),
            Ok(_) => Progress::NotYet("no client-ca-file in it".to_owned()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Loopback ports that were free a moment ago.
///
/// # Errors
/// When none is free.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        // All are held until all are chosen, so that no port is given twice.
        held.push(listener);
    }
    Ok(ports)
}
