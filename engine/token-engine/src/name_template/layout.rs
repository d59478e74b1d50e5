//! Time layouts of Go, as `timestamp` takes them: the reference time in the wanted format, such as `2006-01-02`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The elements of a layout, each with that of `strftime`. An element stands before those that it begins with.
const ELEMENTS: [(&str, &str); 16] = [
    ("2006", "%Y"),
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("Z07:00", "Z"),
    ("Z0700", "Z"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
];

/// Converts a layout to a format of `strftime`.
pub(super) fn to_strftime(layout: &str) -> Result<String, String> {
    let (mut rest, mut format) = (layout, String::new());
    while let Some(letter) = rest.chars().next() {
        if let Some((element, conversion)) = ELEMENTS.iter().find(|(element, _)| rest.starts_with(element)) {
            format.push_str(conversion);
            rest = &rest[element.len()..];
            continue;
        }
        if letter.is_ascii_digit() {
            return Err(format!(
                "timestamp {layout:?} is not understood from {rest:?} on; write the time 2006-01-02T15:04:05Z07:00 in the wanted format"
            ));
        }
        format.push(letter);
        if letter == '%' {
            format.push(letter);
        }
        rest = &rest[letter.len_utf8()..];
    }
    Ok(format)
}

/// Returns the time in UTC.
pub(super) fn format(layout: &str, time: Timestamp) -> Result<String, String> {
    Ok(time.to_zoned(TimeZone::UTC).strftime(&to_strftime(layout)?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_of_go_is_the_reference_time_in_the_wanted_format() {
        let time: Timestamp = "2026-11-30T07:08:09Z".parse().unwrap();
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2026-11-30T07:08:09Z"),
            ("20060102150405", "20261130070809"),
            ("Mon Jan 02 06 03PM MST", "Mon Nov 30 26 07AM UTC"),
            ("100%", "timestamp \"100%\" is not understood"),
            ("d%d", "d%d"),
            ("", ""),
        ] {
            let formatted = format(layout, time).unwrap_or_else(|error| error);
            assert!(
                formatted == expected || layout == "100%" && formatted.starts_with(expected),
                "{formatted}"
            );
        }
    }
}
