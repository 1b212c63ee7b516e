//! The presets, a row for each program.

mod aws;
mod azure;
mod bitwarden;
mod chained;
mod doppler;
mod gcp;
mod gopass;
mod keepassxc;
mod op;
mod pass;
mod sops;
mod vault_cli;

pub use self::aws::{AWS_SM, AWS_SSM};
pub use self::azure::AZURE;
pub use self::bitwarden::{BW, BWS};
pub use self::chained::{FNOX, SECRETSPEC};
pub use self::doppler::{DOPPLER, INFISICAL};
pub use self::gcp::GCP;
pub use self::gopass::GOPASS;
pub use self::keepassxc::KEEPASSXC;
pub use self::op::OP;
pub use self::pass::PASS;
pub use self::sops::SOPS;
pub use self::vault_cli::VAULT_CLI;
