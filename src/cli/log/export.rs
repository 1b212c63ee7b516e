//! `mcpwrap log export`: records in the formats of other programs.
//!
//! OpenTelemetry records go to stdout or, with `--endpoint`, to a collector on this machine. Only the
//! collector sends them to other hosts, with TLS and its own credentials.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Context, Select, print, read, warn_skipped};
use crate::audit::Record;
use crate::audit::export::{csv, ocsf, otlp};
use crate::audit::forward::hostname;
use crate::audit::text::one_line;
use crate::error::{Code, Error, Result};
use crate::files::io_text;

/// Records per request.
const BATCH_RECORDS: usize = 512;
/// How long a collector may take per request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    /// Output format
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// Local OpenTelemetry collector, e.g. `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ExportFormat {
    /// Raw records, one JSON object per line
    Jsonl,
    /// For spreadsheets
    Csv,
    /// Open Cybersecurity Schema Framework 1.5.0, one event per line
    Ocsf,
    /// OpenTelemetry logs (OTLP as JSON)
    Otlp,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.endpoint.is_some() && args.format != ExportFormat::Otlp {
        return Err(Error::new(
            Code::Usage,
            "`--endpoint` requires `--format otlp`",
        ));
    }
    let target = args.endpoint.as_deref().map(Collector::new).transpose()?;
    let host = hostname();
    let mut out = print::PagedOutput::new();
    let mut batch = Vec::new();
    let mut problem = None;
    if args.format == ExportFormat::Csv {
        // A closed pipe is noticed at the first record.
        let _gone = out.line(&csv::heading());
    }
    let skipped = read(&args.select.filter(), cx, |line, record| {
        match args.format {
            ExportFormat::Jsonl => out.bytes(line),
            ExportFormat::Csv => out.line(&csv::line(&record)),
            ExportFormat::Ocsf => out.line(&one_line(&ocsf::event(
                &record,
                &String::from_utf8_lossy(line),
                &host,
            ))),
            ExportFormat::Otlp => {
                batch.push((record, String::from_utf8_lossy(line).into_owned()));
                if batch.len() < BATCH_RECORDS {
                    return ControlFlow::Continue(());
                }
                send(target.as_ref(), &mut batch, &mut out, &mut problem)
            }
        }
    })?;
    if problem.is_none() && !batch.is_empty() {
        let _gone = send(target.as_ref(), &mut batch, &mut out, &mut problem);
    }
    out.end();
    match problem {
        Some(error) => Err(error),
        None => Ok(warn_skipped(&skipped)),
    }
}

fn send(
    target: Option<&Collector>,
    batch: &mut Vec<(Record, String)>,
    out: &mut print::PagedOutput,
    problem: &mut Option<Error>,
) -> ControlFlow<()> {
    let body = one_line(&otlp::request(batch));
    batch.clear();
    let Some(target) = target else {
        return out.line(&body);
    };
    match target.post(&body) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *problem = Some(error);
            ControlFlow::Break(())
        }
    }
}

/// Where requests go.
struct Collector {
    url: String,
    agent: ureq::Agent,
}

impl Collector {
    fn new(endpoint: &str) -> Result<Self> {
        let refused = |cause: &str| {
            Error::new(Code::Usage, "invalid `--endpoint`")
                .cause(cause)
                .hint("use an OpenTelemetry collector on this machine, e.g. `--endpoint http://127.0.0.1:4318`")
        };
        let uri: ureq::http::Uri = endpoint.parse().map_err(|_| refused("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(refused("does not start with `http://`"));
        }
        let host = uri.host().unwrap_or_default();
        if !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
            return Err(refused("remote host: the log would be sent unencrypted"));
        }
        // The address, because a name could resolve to another host.
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        let port = uri.port_u16().unwrap_or(4318);
        let path = match uri.path() {
            "" | "/" => "/v1/logs",
            path => path,
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_LIMIT))
            .proxy(None)
            .max_redirects(0)
            .build();
        Ok(Self {
            url: format!("http://{host}:{port}{path}"),
            agent: config.new_agent(),
        })
    }

    fn post(&self, body: &str) -> Result<()> {
        let sent = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(body);
        sent.map(drop).map_err(|error| {
            Error::new(
                Code::ExportFailed,
                format!("cannot deliver records to `{}`", self.url),
            )
            .cause(match error {
                ureq::Error::Io(error) => io_text(&error),
                other => other.to_string(),
            })
            .hint("start the collector, then run the same command again")
        })
    }
}
