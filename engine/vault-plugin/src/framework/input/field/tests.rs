use serde_json::json;

use super::*;

#[test]
fn a_duration_default_is_read_in_seconds() {
    assert_eq!(Field::duration().default("1h").coerced_default(), Some(json!(3600)));
    assert_eq!(Field::duration().default(90).coerced_default(), Some(json!(90)));
    assert_eq!(Field::duration().coerced_default(), None);
}

#[test]
fn a_comma_list_default_is_read_as_a_list() {
    assert_eq!(Field::comma_strings().default("read, list").coerced_default(), Some(json!(["read", "list"])));
}

#[test]
fn a_sensitive_field_stays_sensitive_when_hints_are_added() {
    let hints = DisplayAttributes { name: "API key".into(), ..Default::default() };
    for field in
        [Field::string().sensitive().display(hints.clone()), Field::string().display(hints).sensitive()]
    {
        assert!(field.is_sensitive());
        assert_eq!(field.display_attributes().map(|shown| shown.name.as_str()), Some("API key"));
    }
}

#[test]
fn hints_show_only_what_is_set_and_never_the_operation_id_parts() {
    let hints = DisplayAttributes {
        item_type: "Role".into(),
        operation_prefix: "token".into(),
        navigation: true,
        ..Default::default()
    };
    assert_eq!(serde_json::to_value(hints).unwrap(), json!({"itemType": "Role", "navigation": true}));
}
