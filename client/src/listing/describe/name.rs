//! How a task is named: by its ARN, its id, or the beginning of that.

/// Characters of an id: a UUID's digits, today without its dashes.
const DIGITS: usize = 32;

/// What somebody wrote for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskName {
    /// Its ARN, which says where it is; one of the old form does not say the cluster.
    Arn { region: String, cluster: Option<String>, id: String },
    /// Its id.
    Id(Whole),
    /// Some of its id.
    Beginning(String),
}

/// An id that is no other's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) String);

impl TaskName {
    pub(super) fn parse(text: &str) -> Self {
        if let Some(arn) = Self::arn(text) {
            return arn;
        }
        let digits = text.chars().filter(char::is_ascii_hexdigit).count();
        let is_whole = digits == DIGITS && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_whole { Self::Id(Whole(text.to_owned())) } else { Self::Beginning(text.to_owned()) }
    }

    /// `arn:PARTITION:ecs:REGION:ACCOUNT:task/[CLUSTER/]ID`.
    fn arn(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, _, region, _, resource] = parts.as_slice() else { return None };
        let path = resource.strip_prefix("task/")?;
        let (cluster, id) = path.rsplit_once('/').map_or((None, path), |(cluster, id)| (Some(cluster), id));
        Some(Self::Arn { region: (*region).to_owned(), cluster: cluster.map(str::to_owned), id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_both_forms_arns_of_both_forms_and_beginnings_are_told_apart() {
        let arn = |cluster: Option<&str>| TaskName::Arn {
            region: "eu-west-1".to_owned(),
            cluster: cluster.map(str::to_owned),
            id: "01".to_owned(),
        };
        let id = |text: &str| TaskName::Id(Whole(text.to_owned()));
        for (text, parsed) in [
            ("arn:aws:ecs:eu-west-1:1:task/shop/01", arn(Some("shop"))),
            ("arn:aws-cn:ecs:eu-west-1:1:task/01", arn(None)),
            ("0123456789abcdef0123456789abcdef", id("0123456789abcdef0123456789abcdef")),
            ("01234567-89ab-cdef-0123-456789abcdef", id("01234567-89ab-cdef-0123-456789abcdef")),
            ("0123", TaskName::Beginning("0123".to_owned())),
            ("0123456789abcdef0123456789abcde", TaskName::Beginning("0123456789abcdef0123456789abcde".to_owned())),
        ] {
            assert_eq!(TaskName::parse(text), parsed, "{text}");
        }
    }
}
