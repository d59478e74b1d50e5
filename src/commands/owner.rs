//! Users and groups by number, as images and volumes know them.

use deployment::Owner;

/// Reads `UID` or `UID:GID`.
pub(crate) fn parse_owner(text: &str) -> Result<Owner, String> {
    let wrong = || format!("{text:?} is not UID or UID:GID in numbers, such as 100:1000");
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    Ok(Owner { user: user.parse().map_err(|_| wrong())?, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(parse_owner("100:1000"), Ok(Owner { user: 100, group: Some(1000) }));
        assert_eq!(parse_owner("0"), Ok(Owner { user: 0, group: None }));
        for text in ["", "vault", "100:", ":1000", "-1", "100:vault", "1:2:3"] {
            assert!(parse_owner(text).is_err(), "{text}");
        }
    }
}
