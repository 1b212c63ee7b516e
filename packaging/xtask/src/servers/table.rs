//! The most used servers of npm and PyPI, each with what it needs to start without an account.

/// One server.
pub struct RealServer {
    pub package: &'static str,
    pub launcher: Launcher,
    /// The program, if it has another name than the package.
    pub program: Option<&'static str>,
    pub args: &'static [&'static str],
    /// Variables without a secret.
    pub env: &'static [(&'static str, &'static str)],
    /// Variables with a secret, and what a value starts with: the rest opens nothing.
    pub secrets: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    Npx,
    Uvx,
}

impl Launcher {
    pub const fn registry(self) -> &'static str {
        match self {
            Self::Npx => "npm",
            Self::Uvx => "PyPI",
        }
    }
}

impl RealServer {
    /// The command of its documentation, without a version.
    pub fn command(&self) -> Vec<&'static str> {
        let mut words = match (self.launcher, self.program) {
            (Launcher::Npx, None) => vec!["npx", "-y", self.package],
            (Launcher::Npx, Some(program)) => vec!["npx", "-y", "-p", self.package, program],
            (Launcher::Uvx, None) => vec!["uvx", self.package],
            (Launcher::Uvx, Some(program)) => vec!["uvx", "--from", self.package, program],
        };
        words.extend(self.args);
        words
    }

    const fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    const fn secrets(self, secrets: &'static [(&'static str, &'static str)]) -> Self {
        Self { secrets, ..self }
    }

    const fn program(self, program: &'static str) -> Self {
        Self {
            program: Some(program),
            ..self
        }
    }
}

const fn npm(package: &'static str) -> RealServer {
    RealServer {
        package,
        launcher: Launcher::Npx,
        program: None,
        args: &[],
        env: &[],
        secrets: &[],
    }
}

const fn pypi(package: &'static str) -> RealServer {
    RealServer {
        launcher: Launcher::Uvx,
        ..npm(package)
    }
}

/// By downloads, most first.
pub const SERVERS: &[RealServer] = &[
    npm("@playwright/mcp"),
    npm("chrome-devtools-mcp"),
    npm("@upstash/context7-mcp"),
    npm("@modelcontextprotocol/server-filesystem").args(&["/tmp"]),
    npm("@modelcontextprotocol/server-sequential-thinking"),
    npm("@azure-devops/mcp").args(&["example"]),
    npm("@supabase/mcp-server-supabase").secrets(&[("SUPABASE_ACCESS_TOKEN", "")]),
    npm("@modelcontextprotocol/server-github").secrets(&[("GITHUB_PERSONAL_ACCESS_TOKEN", "")]),
    npm("@modelcontextprotocol/server-memory"),
    npm("@modelcontextprotocol/server-postgres").args(&["postgresql://127.0.0.1/db"]),
    npm("@modelcontextprotocol/server-everything"),
    npm("@notionhq/notion-mcp-server").secrets(&[("NOTION_TOKEN", "")]),
    npm("@gongrzhe/server-gmail-autoauth-mcp"),
    npm("n8n-mcp"),
    npm("mongodb-mcp-server")
        .secrets(&[("MDB_MCP_CONNECTION_STRING", "mongodb://127.0.0.1/?appName=")]),
    npm("@stripe/mcp")
        .args(&["--tools=all"])
        .secrets(&[("STRIPE_SECRET_KEY", "sk_test_")]),
    npm("tavily-mcp").secrets(&[("TAVILY_API_KEY", "")]),
    npm("@modelcontextprotocol/server-slack")
        .env(&[("SLACK_TEAM_ID", "T0000000")])
        .secrets(&[("SLACK_BOT_TOKEN", "")]),
    npm("@zereight/mcp-gitlab").secrets(&[("GITLAB_PERSONAL_ACCESS_TOKEN", "")]),
    npm("firecrawl-mcp").secrets(&[("FIRECRAWL_API_KEY", "")]),
    npm("task-master-ai").secrets(&[("ANTHROPIC_API_KEY", "")]),
    npm("@wonderwhy-er/desktop-commander"),
    npm("@sentry/mcp-server").secrets(&[("SENTRY_ACCESS_TOKEN", "")]),
    npm("@modelcontextprotocol/server-puppeteer"),
    npm("figma-developer-mcp")
        .args(&["--stdio"])
        .secrets(&[("FIGMA_API_KEY", "")]),
    npm("@winor30/mcp-server-datadog").secrets(&[("DATADOG_API_KEY", ""), ("DATADOG_APP_KEY", "")]),
    npm("@cocal/google-calendar-mcp"),
    npm("@hubspot/mcp-server").secrets(&[("PRIVATE_APP_ACCESS_TOKEN", "")]),
    npm("@perplexity-ai/mcp-server").secrets(&[("PERPLEXITY_API_KEY", "")]),
    npm("@apify/actors-mcp-server").secrets(&[("APIFY_TOKEN", "")]),
    npm("@brave/brave-search-mcp-server").secrets(&[("BRAVE_API_KEY", "")]),
    npm("slack-mcp-server")
        .args(&["--transport", "stdio"])
        .secrets(&[("SLACK_MCP_XOXP_TOKEN", "")]),
    npm("exa-mcp-server").secrets(&[("EXA_API_KEY", "")]),
    npm("@browsermcp/mcp"),
    npm("@21st-dev/magic").secrets(&[("API_KEY", "")]),
    npm("@benborla29/mcp-server-mysql").secrets(&[("MYSQL_PASS", "")]),
    npm("airtable-mcp-server").secrets(&[("AIRTABLE_API_KEY", "")]),
    pypi("mcp-server-git"),
    pypi("awslabs.aws-documentation-mcp-server"),
    pypi("mcp-server-fetch"),
    pypi("mcp-atlassian")
        .env(&[
            ("JIRA_URL", "https://example.atlassian.net"),
            ("JIRA_USERNAME", "ana"),
        ])
        .secrets(&[("JIRA_API_TOKEN", "")]),
    pypi("awslabs.bedrock-kb-retrieval-mcp-server"),
    pypi("awslabs.aws-api-mcp-server")
        .env(&[("AWS_REGION", "eu-west-1")])
        .secrets(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]),
    pypi("mcp-server-time"),
    pypi("workspace-mcp"),
    pypi("mcp-grafana").secrets(&[("GRAFANA_SERVICE_ACCOUNT_TOKEN", "")]),
    pypi("postgres-mcp").args(&["postgresql://127.0.0.1/db"]),
    pypi("serena-agent")
        .program("serena")
        .args(&["start-mcp-server"]),
    pypi("pagerduty-mcp").secrets(&[("PAGERDUTY_USER_API_KEY", "")]),
    pypi("mysql-mcp-server")
        .program("mysql_mcp_server")
        .env(&[("MYSQL_USER", "ana"), ("MYSQL_DATABASE", "db")])
        .secrets(&[("MYSQL_PASSWORD", "")]),
    pypi("mcp-server-sqlite"),
    pypi("redis-mcp-server"),
    pypi("elevenlabs-mcp").secrets(&[("ELEVENLABS_API_KEY", "")]),
    pypi("hass-mcp")
        .env(&[("HA_URL", "http://127.0.0.1:9")])
        .secrets(&[("HA_TOKEN", "")]),
    pypi("mcp-obsidian").secrets(&[("OBSIDIAN_API_KEY", "")]),
];
