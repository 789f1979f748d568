//! Values that name what a listing is about: tasks and services.

use super::values::BadValue;

/// A task: an id, the beginning of one, or an ARN.
pub(super) fn task(text: &str) -> Result<String, BadValue> {
    let id = match text.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":task/").map_or("", |(_, path)| path.rsplit('/').next().unwrap_or_default()),
        None => text,
    };
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(BadValue::new("is not a task", "write an id, the beginning of one, or a task's ARN"));
    }
    Ok(text.to_owned())
}

/// Name of a service, or its ARN, whose last part is the name.
pub(super) fn service(text: &str) -> Result<String, BadValue> {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":service/").map_or("", |(_, path)| path.rsplit('/').next().unwrap_or_default()),
        None => text,
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(BadValue::new("is not a service", "a name has letters, digits, `-` and `_`, as ECS has it"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_their_beginnings_and_arns_name_tasks() {
        for good in
            ["0123456789abcdef0123456789abcdef", "0123", "arn:aws:ecs:r:1:task/shop/01", "arn:aws:ecs:r:1:task/01"]
        {
            assert_eq!(task(good).ok().as_deref(), Some(good));
        }
        for bad in ["", "a b", "arn:aws:ecs:r:1:service/shop/web", "arn:aws:ecs:r:1:task/", "shop/01"] {
            assert!(task(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_services_arn_ends_with_its_name() {
        for (given, name) in [("web", Some("web")), ("arn:aws:ecs:r:1:service/shop/web-2", Some("web-2"))] {
            assert_eq!(service(given).ok().as_deref(), name);
        }
        for bad in ["", "a.b", "shop/web", "arn:aws:ecs:r:1:task/shop/01"] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }
}
