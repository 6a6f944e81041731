//! A real cluster whose nodes are containers, made by kind.

pub mod engine;
pub mod node_image;
