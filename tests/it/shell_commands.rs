//! The command lines of this program in a shell script, found without running it.

use std::iter::Peekable;
use std::str::Chars;

const PROGRAM: &str = "vault-token-plugin";

/// It can be an image, an address, a path and a text.
const VARIABLE_VALUE: &str = "registry.example.com/example:1";

/// What may stand before a command of a script.
const PREFIXES: &[&str] = &["{", "!", "time", "if", "while", "until", "then", "do", "else", "exec"];

/// The words of each command of the script that runs this program, the program's name first. [`VARIABLE_VALUE`] stands for the value of
/// a variable.
pub(crate) fn program_commands(script: &str) -> Vec<Vec<String>> {
    let commands = split_commands(script).into_iter();
    commands.filter_map(|words| program_words(&words)).collect()
}

fn program_words(words: &[String]) -> Option<Vec<String>> {
    let is_prefix = |word: &&String| PREFIXES.contains(&word.as_str()) || is_assignment(word);
    let words = &words[words.iter().take_while(is_prefix).count()..];
    let arguments = match words {
        [cargo, run, dashes, arguments @ ..] if cargo == "cargo" && run == "run" && dashes == "--" => {
            arguments
        }
        [program, arguments @ ..] if program.rsplit('/').next() == Some(PROGRAM) => arguments,
        _ => return None,
    };
    // The arguments of a shell function can be any.
    let arguments = arguments.iter().filter(|word| *word != "$@").cloned();
    Some(std::iter::once(PROGRAM.to_owned()).chain(arguments).collect())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// The words of each command. Redirections are left out; what is substituted inside quotes stays part of its word.
fn split_commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut is_redirected = false;
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '\'' => {
                word.get_or_insert_default().extend(letters.by_ref().take_while(|quoted| *quoted != '\''));
            }
            '"' => double_quoted(&mut letters, word.get_or_insert_default()),
            '#' if word.is_none() => while letters.next_if(|commented| *commented != '\n').is_some() {},
            ' ' | '\n' | '|' | ';' | '&' | '(' | ')' | '<' | '>' => {
                // The number of a descriptor is no word.
                let is_descriptor = |word: &String| "<>".contains(letter) && word.parse::<u32>().is_ok();
                if let Some(word) = word.take()
                    && !std::mem::take(&mut is_redirected)
                    && !is_descriptor(&word)
                {
                    commands.last_mut().unwrap().push(word);
                }
                match letter {
                    ' ' => {}
                    '<' | '>' => is_redirected = true,
                    // `>&2` is part of a redirection.
                    '&' if is_redirected => {}
                    _ => commands.push(Vec::new()),
                }
            }
            '$' if skip_variable(&mut letters) => word.get_or_insert_default().push_str(VARIABLE_VALUE),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(word) = word
        && !is_redirected
    {
        commands.last_mut().unwrap().push(word);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

fn double_quoted(letters: &mut Peekable<Chars<'_>>, word: &mut String) {
    // Quotes inside of `$(…)` are those of another command.
    let mut depth = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if depth == 0 => return,
            '\\' => word.extend(letters.next()),
            '$' if letters.next_if_eq(&'(').is_some() => {
                depth += 1;
                word.push_str("$(");
            }
            ')' if depth > 0 => {
                depth -= 1;
                word.push(')');
            }
            '$' if depth == 0 && skip_variable(letters) => word.push_str(VARIABLE_VALUE),
            _ => word.push(letter),
        }
    }
}

/// Skips the name of a variable, where one follows.
fn skip_variable(letters: &mut Peekable<Chars<'_>>) -> bool {
    let is_name = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    if letters.next_if_eq(&'{').is_some() {
        letters.find(|letter| *letter == '}');
        return true;
    }
    let is_variable = letters.peek().is_some_and(is_name);
    while letters.next_if(is_name).is_some() {}
    is_variable
}

#[test]
fn commands_are_found_wherever_a_shell_would_run_them() {
    let script = "\
# vault-token-plugin of a comment
X=1 target/debug/vault-token-plugin a 'b c' \\
    --d=\"$(dirname \"$E\")/f\" \"$G\" ${H} 2>/dev/null    # a comment
kubectl logs vault-0 2>&1 | vault-token-plugin g - && cargo run -- h;
echo vault-token-plugin i
until vault-token-plugin j; do vault-token-plugin k \"$@\" -- l --m; done
";
    let found = program_commands(script);
    assert_eq!(
        found,
        [
            vec![PROGRAM, "a", "b c", "--d=$(dirname \"$E\")/f", VARIABLE_VALUE, VARIABLE_VALUE],
            vec![PROGRAM, "g", "-"],
            vec![PROGRAM, "h"],
            vec![PROGRAM, "j"],
            vec![PROGRAM, "k", "--", "l", "--m"],
        ]
    );
}
