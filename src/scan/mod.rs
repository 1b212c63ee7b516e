//! Gathers facts about this machine or a repository: configuration files, copies of secrets, git
//! history, policies, the audit log and running supervisors. Reads only; git is the only program
//! that it starts.

mod env_files;
pub mod git;
mod named;
pub mod path;
mod project;
pub mod residue;
pub mod history;
pub mod clients;
pub mod repository;
pub mod stored;
mod token_stores;
pub mod machine;
pub mod copies;
