//! The Query protocol in EC2's dialect and in STS's: a form in, XML out. Lists of a reply are arrays under `...Set` or `...Info`; the
//! writer turns them into `<item>`s.

use serde_json::{Map, Value};

use crate::error::ApiError;

pub(crate) const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";
pub(crate) const EC2_VERSION: &str = "2016-11-15";
pub(crate) const STS_VERSION: &str = "2011-06-15";

/// A request's form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Map<String, Value>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self(pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Members `Name.1`, `Name.2` ...
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.text(&format!("{name}.{n}")).map(str::to_owned)).collect()
    }

    /// Whether there is a member of a structure or list of this name.
    pub(crate) fn has_below(&self, name: &str) -> bool {
        self.0.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Refuses members that the operation does not have; `known` are their names up to the first dot.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let name_of = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
        let mut names = self.0.keys().map(|key| name_of(key));
        match names.find(|name| !known.contains(&name.as_str()) && name != "Action" && name != "Version") {
            Some(name) => Err(ApiError::new("UnknownParameter", format!("The parameter {name} is not recognized"))),
            None => Ok(()),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// A reply of EC2's.
pub(crate) fn ec2_response(action: &str, body: &Value, request_id: &str) -> String {
    let members = write(body);
    format!(
        "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/{EC2_VERSION}/\"><requestId>{request_id}</requestId>{members}</{action}Response>"
    )
}

/// An error of EC2's, which spells `RequestID` so.
pub(crate) fn ec2_error(error: &ApiError, request_id: &str) -> String {
    let (code, message) = (error.code, escape(&error.message));
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
}

/// A reply of STS's.
pub(crate) fn sts_response(action: &str, body: &Value, request_id: &str) -> String {
    let members = write(body);
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/{STS_VERSION}/\"><{action}Result>{members}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

/// An error of STS's.
pub(crate) fn sts_error(error: &ApiError, request_id: &str) -> String {
    let side = if error.status < 500 { "Sender" } else { "Receiver" };
    let (code, message) = (error.code, escape(&error.message));
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/{STS_VERSION}/\"><Error><Type>{side}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn write(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(|item| format!("<item>{}</item>", write(item))).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("<{name}>{}</{name}>", write(value))).collect()
        }
        Value::String(text) => escape(text),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_items() {
        let body = serde_json::json!({"tagSet": [{"key": "a&b", "value": 1}], "empty": []});
        assert_eq!(
            ec2_response("X", &body, "r"),
            "<XResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
             <tagSet><item><key>a&amp;b</key><value>1</value></item></tagSet><empty></empty></XResponse>"
        );
    }

    #[test]
    fn forms_have_lists_and_no_strangers() {
        let form = Form::parse(b"Action=X&SubnetId.1=a&SubnetId.2=b&SubnetId.4=d");
        assert_eq!(form.list("SubnetId"), ["a", "b"]);
        assert!(form.has_below("SubnetId") && !form.has_below("Subnet") && !form.has_below("Action"));
        assert!(form.only(&["SubnetId"]).is_ok());
        assert_eq!(form.only(&["Filter"]).map_err(|error| error.code), Err("UnknownParameter"));
    }
}
