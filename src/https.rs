//! The HTTP clients of mcpwrap itself, for providers and for stores.
//!
//! Invariants: nothing comes from the environment, neither the proxy nor the authorities; no redirect is
//! followed, since it may lead to another host; an unencrypted client goes through no proxy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::{Config, ConfigBuilder};
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Proxy};

use crate::authorities::authorities;
use crate::secret::Secret;
use crate::sys::loader;

/// How a host is reached, besides the system's own settings: what the user approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebRoute {
    /// The URL of a proxy.
    pub proxy: Option<Secret>,
    /// The hosts that are reached directly, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// Files of further certificate authorities.
    pub authorities: Vec<PathBuf>,
}

/// Why there is no client for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFault {
    /// The proxy is not a URL.
    Proxy,
    /// A variable could make the C library load code when it looks up a name, and mcpwrap could not start
    /// again without it.
    Lookup,
    /// No authority is trusted, or one of the files cannot be read.
    Authorities(String),
}

/// A client for `https:`. Each request takes at most `limit`. `looks_up`: whether a name is looked up for it.
///
/// # Errors
/// The proxy or the authorities cannot be used, or a lookup could load code.
pub fn agent(route: &WebRoute, limit: Duration, looks_up: bool) -> Result<Agent, RouteFault> {
    if looks_up && !loader::is_clean() {
        return Err(RouteFault::Lookup);
    }
    let roots = roots(&route.authorities).map_err(RouteFault::Authorities)?;
    let config = settings(limit)
        .https_only(true)
        .proxy(proxy(route)?)
        .tls_config(tls(roots))
        .build();
    Ok(config.new_agent())
}

/// A client for `http:` that only connects to this machine, whatever a name means. Each request takes at
/// most `limit`. `looks_up` as for [`agent`].
///
/// # Errors
/// A lookup could load code.
pub fn plain_agent(limit: Duration, looks_up: bool) -> Result<Agent, RouteFault> {
    if looks_up && !loader::is_clean() {
        return Err(RouteFault::Lookup);
    }
    let config = settings(limit).proxy(None).build();
    let connector = DefaultConnector::default();
    Ok(Agent::with_parts(config, connector, LocalResolver))
}

/// What all clients have in common: no redirect is followed, and each status is an answer.
pub fn settings(limit: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .user_agent(concat!("mcpwrap/", env!("CARGO_PKG_VERSION")))
}

/// The system's authorities and those of these files.
///
/// # Errors
/// As [`authorities`].
pub fn roots(files: &[PathBuf]) -> Result<RootCerts, String> {
    let found = authorities(files)?;
    let roots = found
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned());
    Ok(RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
}

/// TLS by rustls with these authorities.
pub fn tls(roots: RootCerts) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// A proxy, and the hosts that are reached without it. `None` if the proxy is not a URL.
pub fn proxy_except(url: &str, hosts: &[&str]) -> Option<Proxy> {
    let proxy = Proxy::new(url).ok()?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(user) = proxy.username() {
        builder = builder.username(user);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    for host in hosts {
        builder = builder.no_proxy(host);
    }
    builder.build().ok()
}

/// Finds only addresses of this machine.
#[derive(Debug)]
struct LocalResolver;

impl Resolver for LocalResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut local = self.empty();
        for address in all.iter().filter(|address| address.ip().is_loopback()) {
            local.push(*address);
        }
        if local.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(local)
    }
}

fn proxy(route: &WebRoute) -> Result<Option<Proxy>, RouteFault> {
    let Some(url) = &route.proxy else {
        return Ok(None);
    };
    let url = std::str::from_utf8(url.expose()).unwrap_or_default();
    let hosts = route.no_proxy.iter();
    let hosts = hosts.flat_map(|hosts| hosts.split([',', ' ']));
    let hosts: Vec<_> = hosts.filter(|host| !host.is_empty()).collect();
    let proxy = proxy_except(url, &hosts);
    proxy.map(Some).ok_or(RouteFault::Proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(proxy: &str, no_proxy: Option<&str>) -> WebRoute {
        WebRoute {
            proxy: Some(Secret::new(proxy.into())),
            no_proxy: no_proxy.map(str::to_owned),
            authorities: Vec::new(),
        }
    }

    #[test]
    fn hosts_without_the_proxy() {
        let hosts = Some("corp.example, .lan");
        let proxy = proxy(&route("http://u:p%40@proxy:3128", hosts));
        let proxy = proxy.unwrap().unwrap();
        assert_eq!(proxy.password(), Some("p@"));
        for (url, is_direct) in [
            ("https://corp.example/v1", true),
            ("https://a.lan", true),
            ("https://other.example", false),
        ] {
            assert_eq!(proxy.is_no_proxy(&url.parse().unwrap()), is_direct, "{url}");
        }
    }

    #[test]
    fn without_tls_only_this_machine_is_reached() {
        let agent = plain_agent(Duration::from_secs(5), false).unwrap();
        // An address for documentation: nobody is there.
        let refused = agent.get("http://192.0.2.1:9/").call();
        assert!(
            matches!(refused, Err(ureq::Error::HostNotFound)),
            "{refused:?}"
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(agent.get(&url).call(), Err(ureq::Error::Io(_))));
    }

    #[test]
    fn a_lookup_that_could_load_code_is_refused() {
        let limit = Duration::from_secs(1);
        let is_refused =
            |agent: Result<Agent, RouteFault>| matches!(agent, Err(RouteFault::Lookup));
        // `cargo test` itself sets such a variable.
        let is_clean = loader::is_clean();
        assert_eq!(is_refused(plain_agent(limit, true)), !is_clean);
        assert_eq!(
            is_refused(agent(&WebRoute::default(), limit, true)),
            !is_clean
        );
        assert!(!is_refused(plain_agent(limit, false)));
        assert!(!is_refused(agent(&WebRoute::default(), limit, false)));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let refused = proxy(&route("not a proxy", None));
        assert_eq!(refused.unwrap_err(), RouteFault::Proxy);
        assert!(proxy(&WebRoute::default()).unwrap().is_none());
    }
}
