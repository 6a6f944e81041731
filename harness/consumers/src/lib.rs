//! The real consumers of copies, and the forge that they log in to.
//!
//! ```text
//!  preparation, obtain ──▶ start ──▶ running: kubelet, argo_cd, kargo, flux, backstage, oauth, tls_server ──▶ forge
//!  programs                site                                                                           its log is the oracle
//!  login: one login as data, which each of them carries out        by_rules: git and registry in a controller's place
//!                                                                  git_ssh: git with ssh in a controller's place
//!                          git_error: what git says, without what it may quote
//!                          controller_objects: what a controller has in the cluster for a login
//! ```
//!
//! A credential's plain value leaves the process only towards the store or the consumer under test.

mod argo_cd;
pub mod backstage;
mod by_rules;
mod controller_objects;
mod flux;
pub mod forge;
mod git_error;
mod git_ssh;
pub mod kargo;
mod kubelet;
pub mod login;
mod oauth;
mod obtain;
mod preparation;
pub mod running;
mod site;
mod start;
mod tls_server;
