//! Variables that programs read from a user's terminal: which of them choose something, and which are
//! harmless.
//!
//! A variable that chooses a program, a daemon or an account belongs to the policy, by value: if the
//! client could choose it, a project's settings could point a server at another cluster or account.
//! Sources: kubectl, AWS, Google Cloud, Azure, Terraform, Vault, Docker, Java, Android, `PostgreSQL` and
//! git manuals for the former; terminal and desktop conventions for the latter.

/// Names that choose a program, a daemon or an account, by the words that servers of this kind are
/// called by. A trailing `*` matches any suffix.
const CHOOSING: &[(&[&str], &[&str])] = &[
    (
        &[
            "kube",
            "kubernetes",
            "kubectl",
            "k8s",
            "helm",
            "openshift",
            "argocd",
            "istio",
        ],
        &["KUBECONFIG", "KUBE_CONTEXT", "KUBERNETES_MASTER", "HELM_*"],
    ),
    (
        &[
            "aws",
            "amazon",
            "s3",
            "dynamodb",
            "bedrock",
            "cdk",
            "cloudwatch",
            "lambda",
        ],
        &[
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_ENDPOINT_URL",
            "AWS_ROLE_ARN",
        ],
    ),
    (
        &[
            "google",
            "gcp",
            "gcloud",
            "bigquery",
            "firebase",
            "vertex",
            "gke",
            "firestore",
        ],
        &[
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_PROJECT",
            "GCLOUD_PROJECT",
            "CLOUDSDK_*",
        ],
    ),
    (
        &["azure", "azurerm", "aks"],
        &[
            "AZURE_CONFIG_DIR",
            "AZURE_SUBSCRIPTION_ID",
            "AZURE_TENANT_ID",
            "ARM_SUBSCRIPTION_ID",
            "ARM_TENANT_ID",
        ],
    ),
    (
        &[
            "docker",
            "container",
            "containers",
            "compose",
            "podman",
            "testcontainers",
        ],
        &[
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
            "DOCKER_CERT_PATH",
            "DOCKER_TLS_VERIFY",
            "CONTAINER_HOST",
        ],
    ),
    (
        &[
            "java", "jdk", "jvm", "maven", "gradle", "spring", "kotlin", "jdtls",
        ],
        &[
            "JAVA_HOME",
            "JDK_HOME",
            "MAVEN_HOME",
            "M2_HOME",
            "GRADLE_USER_HOME",
        ],
    ),
    (
        &["android", "adb", "flutter", "mobile", "appium"],
        &["ANDROID_HOME", "ANDROID_SDK_ROOT", "FLUTTER_ROOT"],
    ),
    (
        &["terraform", "tofu", "vault", "consul", "nomad"],
        &[
            "TF_WORKSPACE",
            "TF_DATA_DIR",
            "TF_CLI_CONFIG_FILE",
            "VAULT_ADDR",
            "VAULT_NAMESPACE",
            "CONSUL_HTTP_ADDR",
            "NOMAD_ADDR",
        ],
    ),
    (
        &["postgres", "postgresql", "pg"],
        &[
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGDATABASE",
            "PGSERVICE",
            "PGSERVICEFILE",
            "PGPASSFILE",
        ],
    ),
    (
        &["git", "github", "gitlab", "gh", "glab"],
        &[
            "GH_HOST",
            "GH_CONFIG_DIR",
            "GITLAB_HOST",
            "GIT_DIR",
            "GIT_WORK_TREE",
        ],
    ),
    (
        &["playwright", "puppeteer", "chrome", "browser", "selenium"],
        &[
            "BROWSER",
            "CHROME_PATH",
            "CHROME_BIN",
            "PUPPETEER_EXECUTABLE_PATH",
            "PLAYWRIGHT_BROWSERS_PATH",
        ],
    ),
    (
        &[
            "go", "golang", "gopls", "rust", "cargo", "python", "conda", "node", "ruby",
        ],
        &[
            "GOROOT",
            "GOPATH",
            "CARGO_HOME",
            "RUSTUP_HOME",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "NVM_DIR",
        ],
    ),
];

/// Names whose values only change how something looks.
const HARMLESS: &[&str] = &[
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "NODE_ENV",
    "DEBUG",
    "LOG_LEVEL",
];

/// Words of servers that show something on a screen.
const SCREEN: &[&str] = &[
    "playwright",
    "puppeteer",
    "chrome",
    "browser",
    "selenium",
    "desktop",
    "screen",
    "screenshot",
    "clipboard",
    "gui",
    "x11",
    "blender",
    "figma",
];

/// Whether a variable chooses a program, a daemon or an account.
pub fn chooses(name: &str) -> bool {
    CHOOSING
        .iter()
        .any(|(_, names)| names.iter().any(|known| matches(known, name)))
}

/// Whether a variable only changes how something looks.
pub fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name) || name.starts_with("LC_")
}

/// Whether servers that are called by one of these words usually read a variable.
pub fn usual(words: &[String], name: &str) -> bool {
    let called = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let screen = ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"].contains(&name) && called(SCREEN);
    let chosen = CHOOSING
        .iter()
        .any(|(words, names)| called(words) && names.iter().any(|known| matches(known, name)));
    screen || chosen
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.len() > start.len() && name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_is_not_harmless() {
        for name in [
            "KUBECONFIG",
            "AWS_PROFILE",
            "DOCKER_HOST",
            "JAVA_HOME",
            "CLOUDSDK_CORE_PROJECT",
        ] {
            assert!(chooses(name) && !is_harmless(name), "{name}");
        }
        for name in ["DISPLAY", "LC_TIME", "COLUMNS"] {
            assert!(is_harmless(name) && !chooses(name), "{name}");
        }
        assert!(!chooses("HELM_") && !chooses("GITHUB_HOST"));
    }

    #[test]
    fn servers_are_known_by_words() {
        let words = |text: &str| text.split('-').map(str::to_owned).collect::<Vec<_>>();
        assert!(usual(&words("mcp-server-kubernetes"), "KUBECONFIG"));
        assert!(usual(&words("playwright-mcp"), "DISPLAY"));
        assert!(!usual(&words("mcp-server-github"), "KUBECONFIG"));
    }
}
