//! The bridge: a process of its own between a session on stdio and a remote server on HTTP.
//!
//! It has neither a store nor a policy. What it needs comes over a private socket (`channel`), and is
//! replaced there when a credential changes.

pub mod channel;
