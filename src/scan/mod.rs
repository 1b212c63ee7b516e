//! Looks for what is on this machine or in a repository: configuration files, copies of secrets, git
//! history, facts about policies, log and running supervisors. Reads only, and starts no program but
//! git.

mod git;
pub mod path;
mod project;
pub mod residue;
pub mod history;
pub mod clients;
pub mod repository;
pub mod stored;
pub mod machine;
pub mod copies;
