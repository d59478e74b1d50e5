//! Suggestions for misspelt words.

/// Only this many characters of a word are compared.
const MAX_WORD: usize = 64;

/// Returns `; did you mean X?` for the candidate with the smallest edit distance, or an empty string if none is close.
pub(crate) fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let limit = 1 + word.chars().count().min(MAX_WORD) / 4;
    let distances = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    match distances.filter(|(distance, _)| *distance <= limit).min() {
        Some((_, candidate)) => format!("; did you mean {candidate}?"),
        None => String::new(),
    }
}

/// Returns the edit distance (Levenshtein) of two words.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().take(2 * MAX_WORD).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_for_a_misspelt_one() {
        let known = ["ttl.seconds", "ttl.days", "permissions", "name"];
        for (word, expected) in [
            ("ttl.second", "; did you mean ttl.seconds?"),
            ("ttl.sekonds", "; did you mean ttl.seconds?"),
            ("nmae", "; did you mean name?"),
            ("role", ""),
            ("", ""),
        ] {
            assert_eq!(suggestion(word, known), expected, "{word}");
        }
    }
}
