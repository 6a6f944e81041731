//! Obtains programs and images, starts processes and ends them.
//!
//! ```text
//!  supply        programs: given, cached, released, or built by Go     helm, kustomize   what renders manifests
//!  oci           images and registries                                 engine            Docker and Podman
//!  node_image    the image of a node of kind                           pod_image         images for its pods
//!  process       programs that run, until they end or are ended        run_dir           what a run leaves, and its sweep
//!  certificates  of one authority a run                                tls               servers of this process
//!  dirs          where things are kept                               esoctl            ESO's template engine
//!  configuration a tree of manifests as it is deployed                 external_secrets  ESO of the user's own, with its chart
//!  walk          causes of errors on the way through directories
//! ```
//!
//! What is started is stopped: by its owner, by the kernel when the owner dies, and by the sweep of the next start.

pub mod certificates;
pub mod configuration;
pub mod dirs;
pub mod engine;
pub mod esoctl;
pub mod external_secrets;
pub mod helm;
pub mod kustomize;
pub mod node_image;
pub mod oci;
pub mod pod_image;
pub mod process;
pub mod run_dir;
pub mod supply;
pub mod tls;
mod walk;
