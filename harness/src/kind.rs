//! A real cluster whose nodes are containers, made by kind.

pub mod engine;
