//! Text that names a value in a store, and that only a program with access to the store can resolve.

/// The store that a text refers to as a whole, e.g. "1Password" for `op://VAULT/ITEM/FIELD`.
pub fn store_of(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    if let Some(rest) = text.strip_prefix("op://") {
        return (rest.split('/').count() >= 3).then_some("1Password");
    }
    let inside = text
        .strip_prefix("{{resolve:")
        .and_then(|rest| rest.strip_suffix("}}"));
    if let Some((service, _)) = inside.and_then(|inside| inside.split_once(':')) {
        return match service {
            "ssm" | "ssm-secure" => Some("the Parameter Store of AWS"),
            "secretsmanager" => Some("AWS Secrets Manager"),
            _ => None,
        };
    }
    let parts: Vec<&str> = text.split(':').collect();
    if let ["arn", partition, service, _, _, resource, ..] = parts.as_slice()
        && partition.starts_with("aws")
    {
        return match *service {
            "secretsmanager" => Some("AWS Secrets Manager"),
            "ssm" if resource.starts_with("parameter/") => Some("the Parameter Store of AWS"),
            _ => None,
        };
    }
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        ["projects", _, "secrets", _] | ["projects", _, "secrets", _, "versions", _] => {
            Some("Google Cloud Secret Manager")
        }
        ["https:", "", host, "secrets", _, ..] if host.ends_with(".vault.azure.net") => {
            Some("Azure Key Vault")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_stores() {
        for (text, store) in [
            ("op://Work/GitHub/token", Some("1Password")),
            ("Bearer op://Work/GitHub/api/token", Some("1Password")),
            ("op://Work", None),
            (
                "{{resolve:ssm:/prod/token:1}}",
                Some("the Parameter Store of AWS"),
            ),
            (
                "{{resolve:secretsmanager:x:SecretString:y}}",
                Some("AWS Secrets Manager"),
            ),
            ("{{resolve:other:x}}", None),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gh-AbCdEf",
                Some("AWS Secrets Manager"),
            ),
            (
                "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/x",
                Some("the Parameter Store of AWS"),
            ),
            ("arn:aws:iam::123456789012:role/x", None),
            (
                "projects/p/secrets/gh/versions/latest",
                Some("Google Cloud Secret Manager"),
            ),
            ("projects/p/locations/l", None),
            (
                "https://corp.vault.azure.net/secrets/gh/0123",
                Some("Azure Key Vault"),
            ),
            ("https://corp.example/secrets/gh", None),
            ("secret:github/token", None),
            ("${env:TOKEN}", None),
        ] {
            assert_eq!(store_of(text), store, "{text}");
        }
    }
}
