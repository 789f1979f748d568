//! The tags of a run's task: by them it is found again.

use super::Given;
use crate::aws::run_task::Tag;

/// Longest tag value (ECS API reference, Tag).
const TAG_VALUE_MAX_CHARS: usize = 256;

pub(super) fn tags(given: &Given) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag { key: format!("fargate-login:{key}"), value: tag_value(value) };
    let mut tags = vec![tag("run", &given.run), tag("version", env!("CARGO_PKG_VERSION"))];
    tags.extend(given.caller.as_deref().map(|caller| tag("caller", caller)));
    tags
}

/// A value of the characters that every service takes in tags (ECS API reference, Tag).
pub(crate) fn tag_value(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    text.chars().map(|c| if allowed(c) { c } else { '_' }).take(TAG_VALUE_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::super::tests::{given, options};
    use crate::options::Options;

    #[test]
    fn tags_hold_only_what_tags_may() {
        let plan = Plan::new(options(), given()).expect("a plan");
        let caller = plan.request.tags.iter().find(|tag| tag.key == "fargate-login:caller").expect("the caller's tag");
        assert_eq!(caller.value, "arn:aws:iam::000000000000:user/o_neil");
        assert!(Plan::new(Options { no_tags: true, ..options() }, given()).expect("a plan").request.tags.is_empty());
    }
}
