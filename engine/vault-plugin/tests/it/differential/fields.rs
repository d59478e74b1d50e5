//! Compares the coercion of values for every field type with Go's `FieldData`.

use rand::RngExt as _;
use serde_json::{Value, json};
use vault_plugin::framework::{Context, Data, Engine, Field, Path};
use vault_plugin::logical::{Error, Map, Operation};
use vault_plugin::testing::TestMount;

use super::{Comparison, compare, values};

type Constructor = fn() -> Field;

/// The constructors by type name.
const KINDS: [(&str, Constructor); 17] = [
    ("String", Field::string),
    ("Int", Field::int),
    ("Int64", Field::int64),
    ("Bool", Field::bool),
    ("Map", Field::map),
    ("Slice", Field::list),
    ("StringSlice", Field::strings),
    ("CommaStringSlice", Field::comma_strings),
    ("CommaIntSlice", Field::comma_ints),
    ("KvPairs", Field::kv_pairs),
    ("NameString", Field::name_string),
    ("LowerCaseString", Field::lower_case_string),
    ("DurationSecond", Field::duration),
    ("SignedDurationSecond", Field::signed_duration),
    ("Float", Field::float),
    ("Time", Field::time),
    ("Header", Field::header),
];

struct Case {
    kind: &'static str,
    value: Value,
}

#[tokio::test]
async fn every_field_type_accepts_what_go_accepts() {
    let mount = TestMount::new(engine()).await.unwrap();
    compare(
        "fields",
        30_000,
        |random| Case { kind: KINDS[random.random_range(0..KINDS.len())].0, value: values::value(random) },
        |case| json!({"kind": case.kind, "value": case.value}),
        async |case, go| differ(&mount, case, go).await,
    )
    .await;
}

/// An engine with a path per type, which returns its field.
fn engine() -> Engine<()> {
    let engine = Engine::new(|| ()).version("0.0.1");
    KINDS.into_iter().fold(engine, |engine, (kind, field)| {
        engine.path(Path::new(kind).field("field", field()).on(Operation::Update, "", echo))
    })
}

async fn echo(_: Context<()>, fields: Map) -> Result<Data<Map>, Error> {
    Ok(Data(fields))
}

async fn differ(mount: &TestMount, case: &Case, go: &Value) -> Comparison {
    let data = json!({"field": case.value}).as_object().unwrap().clone();
    let response = mount.request(Operation::Update, case.kind, data).await.unwrap().unwrap();
    let ours = match response.error_text() {
        Some(text) => json!({"error": text}),
        None => match response.data.unwrap_or_default().remove("field") {
            Some(value) => json!({"value": value}),
            None => json!({}),
        },
    };
    let same = match (go.get("value"), ours.get("value")) {
        (Some(go), Some(ours)) => equal(go, ours),
        (None, None) => go.get("error").is_some() == ours.get("error").is_some(),
        _ => false,
    };
    if same { Ok(None) } else { deliberate(case, go, &ours).map(Some).ok_or_else(|| ours.to_string()) }
}

/// Whether the values are equal. Numbers are compared by value, because Go writes a float without a fraction as an integer.
fn equal(go: &Value, ours: &Value) -> bool {
    match (go, ours) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        // Go encodes a nil map or list as null.
        (Value::Null, Value::Array(empty)) => empty.is_empty(),
        (Value::Null, Value::Object(empty)) => empty.is_empty(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => go == ours,
    }
}

/// Returns the reason of a deliberate difference.
fn deliberate(case: &Case, go: &Value, ours: &Value) -> Option<&'static str> {
    let rejected = |response: &Value| response.get("error").is_some();
    if case.kind == "Time" && rejected(go) && (case.value.is_number()) {
        return Some("a JSON number is a time");
    }
    if contains(&case.value, &|value| value.as_i64().is_some_and(|integer| integer.unsigned_abs() > 1 << 53))
    {
        return Some("integers are exact");
    }
    let out_of_range =
        |value: &Value| value.as_f64().is_some_and(|float| float.is_finite() && float.abs() >= 9.2e18);
    if rejected(ours) && contains(&case.value, &out_of_range) {
        return Some("an integer that does not fit is refused and does not wrap");
    }
    if rejected(ours) && go.get("unencodable").is_some() {
        return Some("a number that JSON cannot hold is refused");
    }
    None
}

fn contains(value: &Value, condition: &impl Fn(&Value) -> bool) -> bool {
    condition(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| contains(item, condition)),
            Value::Object(members) => members.values().any(|member| contains(member, condition)),
            _ => false,
        }
}
