use serde_json::json;

use super::*;

#[test]
fn a_default_of_a_duration_is_converted_to_seconds() {
    assert_eq!(Field::duration().default("1h").coerced_default(), Some(json!(3600)));
    assert_eq!(Field::duration().default(90).coerced_default(), Some(json!(90)));
    assert_eq!(Field::duration().coerced_default(), None);
}

#[test]
fn a_default_of_a_comma_list_is_converted_to_a_list() {
    assert_eq!(Field::comma_strings().default("read, list").coerced_default(), Some(json!(["read", "list"])));
}

#[test]
fn a_sensitive_field_remains_sensitive_with_display_attributes() {
    let attributes = DisplayAttributes { name: "API key".into(), ..Default::default() };
    for field in [
        Field::string().sensitive().display(attributes.clone()),
        Field::string().display(attributes).sensitive(),
    ] {
        assert!(field.is_sensitive());
        assert_eq!(field.display_attributes().map(|display| display.name.as_str()), Some("API key"));
    }
}

#[test]
fn display_attributes_contain_only_what_is_set_and_no_parts_of_the_operation_id() {
    let attributes = DisplayAttributes {
        item_type: "Role".into(),
        operation_prefix: "token".into(),
        navigation: true,
        ..Default::default()
    };
    assert_eq!(serde_json::to_value(attributes).unwrap(), json!({"itemType": "Role", "navigation": true}));
}
