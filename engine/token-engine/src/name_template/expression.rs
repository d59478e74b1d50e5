//! The syntax of a template: text and, in double braces, values, calls of functions and pipes.

use super::functions::{FUNCTIONS, FormatPart, Function, ParameterType, split_format};
use crate::upstream::suggestion;

/// The maximum depth of parentheses.
const MAX_DEPTH: usize = 16;

const VARIABLES: [(&str, Variable); 2] =
    [("RoleName", Variable::RoleName), ("DisplayName", Variable::DisplayName)];

/// Words of Go's template language that have no meaning in a name.
const KEYWORDS: [&str; 11] =
    ["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "nil"];

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Expression(Expression),
}

#[derive(Debug)]
pub(super) enum Expression {
    Text(String),
    Number(usize),
    Variable(Variable),
    /// The value before a pipe is the last argument.
    Call {
        function: Function,
        arguments: Vec<Expression>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    RoleName,
    DisplayName,
}

/// Parses a template. The error names the position.
pub(super) fn parse(source: &str) -> Result<Vec<Part>, String> {
    if let Some((index, letter)) = source.char_indices().find(|(_, letter)| !is_plain(*letter)) {
        return Err(at(source, index, &format!("a name cannot contain {letter:?}; use printable ASCII")));
    }
    let (mut parts, mut index) = (Vec::new(), 0);
    while let Some(length) = source[index..].find("{{") {
        let mut text = &source[index..index + length];
        index += length + "{{".len();
        // As in Go, a minus after the braces removes the white space before them.
        if source[index..].starts_with("- ") {
            text = text.trim_end();
            index += 1;
        }
        push_text(&mut parts, text)?;
        let mut parser = Parser { source, index, depth: 0 };
        parts.push(Part::Expression(parser.action()?));
        index = parser.index;
    }
    push_text(&mut parts, &source[index..])?;
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), String> {
    if text.contains("}}") {
        return Err(format!("the text {text:?} has }}}} without {{{{"));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_graphic() || letter == ' '
}

/// Adds the position to an error. The source is ASCII, so bytes are characters.
fn at(source: &str, index: usize, message: &str) -> String {
    if index >= source.len() {
        return format!("at the end: {message}");
    }
    format!("at character {}: {message}", index + 1)
}

struct Parser<'a> {
    source: &'a str,
    index: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Parses up to and including the closing braces.
    fn action(&mut self) -> Result<Expression, String> {
        let expression = self.pipeline()?;
        if self.rest().starts_with("-}}") && self.source[..self.index].ends_with(' ') {
            self.index += "-}}".len();
            self.skip_spaces();
        } else if self.rest().starts_with("}}") {
            self.index += "}}".len();
        } else {
            return Err(self.unexpected("}} or |"));
        }
        Ok(expression)
    }

    fn pipeline(&mut self) -> Result<Expression, String> {
        let mut value = self.command(None)?;
        loop {
            self.skip_spaces();
            if !self.rest().starts_with('|') {
                return Ok(value);
            }
            self.index += 1;
            value = self.command(Some(value))?;
        }
    }

    /// Parses a call with its arguments, or a single value.
    fn command(&mut self, piped: Option<Expression>) -> Result<Expression, String> {
        self.skip_spaces();
        let start = self.index;
        let Some(word) = self.word() else {
            if piped.is_some() {
                return Err(self.error(start, "a pipe needs a function on its right"));
            }
            let value = self.operand()?;
            return value.ok_or_else(|| self.unexpected("a value or a function"));
        };
        let function = self.function(start, word)?;
        let mut arguments = Vec::new();
        while let Some(argument) = self.operand()? {
            arguments.push(argument);
        }
        arguments.extend(piped);
        self.call(start, function, arguments)
    }

    /// Parses a literal, a variable, a function without arguments, or parentheses. Returns `None` before anything else.
    fn operand(&mut self) -> Result<Option<Expression>, String> {
        self.skip_spaces();
        let start = self.index;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let expression = match first {
            '"' | '`' => Expression::Text(self.quoted(first)?),
            '0'..='9' => {
                let digits = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '.');
                let number = digits.parse::<usize>();
                Expression::Number(
                    number.map_err(|_| self.error(start, &format!("{digits} is not a number")))?,
                )
            }
            '.' => {
                self.index += 1;
                let name = self.take_while(is_word);
                let names = VARIABLES.map(|(name, _)| name);
                let variable = VARIABLES.iter().find(|(known, _)| *known == name);
                let (_, variable) = variable.ok_or_else(|| {
                    let message = format!(
                        "there is no .{name}; there are .RoleName and .DisplayName{}",
                        suggestion(name, names)
                    );
                    self.error(start, &message)
                })?;
                Expression::Variable(*variable)
            }
            '(' => {
                self.index += 1;
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.error(start, &format!("more than {MAX_DEPTH} nested parentheses")));
                }
                let inner = self.pipeline()?;
                if !self.rest().starts_with(')') {
                    return Err(self.unexpected(") or |"));
                }
                self.index += 1;
                self.depth -= 1;
                inner
            }
            _ => {
                let Some(word) = self.word() else { return Ok(None) };
                let function = self.function(start, word)?;
                self.call(start, function, Vec::new())?
            }
        };
        Ok(Some(expression))
    }

    /// Checks the number, the types and the literals of the arguments.
    fn call(
        &self,
        start: usize,
        function: Function,
        arguments: Vec<Expression>,
    ) -> Result<Expression, String> {
        let fail = |message: &str| Err(self.error(start, message));
        let (name, parameters) = (function.name(), function.parameters());
        let mut expected = parameters.len();
        if let (Function::Printf, Some(Expression::Text(format))) = (function, arguments.first()) {
            let parts = split_format(format).map_err(|error| self.error(start, &error))?;
            let verbs = parts.iter().filter_map(|part| match part {
                FormatPart::Verb(verb) => Some(*verb),
                FormatPart::Text(_) => None,
            });
            let verbs: Vec<char> = verbs.collect();
            expected += verbs.len();
            for (verb, value) in verbs.iter().zip(&arguments[1..]) {
                if *verb != 'v' && (*verb == 'd') != matches!(value, Expression::Number(_)) {
                    return fail(&format!("printf has a value of the wrong type for %{verb}; %v takes both"));
                }
            }
        }
        if arguments.len() != expected {
            let wanted = match expected {
                0 => "no value".to_owned(),
                1 => "1 value".to_owned(),
                count => format!("{count} values"),
            };
            return fail(&format!("{name} takes {wanted}, not {}", arguments.len()));
        }
        let (mut literals, mut numbers) = (Vec::new(), Vec::new());
        for (parameter, argument) in parameters.iter().zip(&arguments) {
            match (parameter, argument) {
                (ParameterType::Number, Expression::Number(number)) => numbers.push(*number),
                (ParameterType::Number, _) => {
                    return fail(&format!("{name} needs a number, such as {name} 20"));
                }
                (ParameterType::Literal, Expression::Text(text)) => literals.push(text.as_str()),
                (ParameterType::Literal, _) => return fail(&format!("{name} needs a text in quotes")),
                (ParameterType::Text, Expression::Number(number)) => {
                    return fail(&format!("{name} needs a text, not the number {number}"));
                }
                (ParameterType::Text, _) => {}
            }
        }
        function.check_literals(&literals, &numbers).map_err(|error| self.error(start, &error))?;
        Ok(Expression::Call { function, arguments })
    }

    fn function(&self, start: usize, word: &str) -> Result<Function, String> {
        if KEYWORDS.contains(&word) {
            return Err(
                self.error(start, &format!("{word} is not supported; only values, functions and pipes are"))
            );
        }
        let known = FUNCTIONS.iter().find(|(name, _)| *name == word);
        known.map(|(_, function)| *function).ok_or_else(|| {
            let names = FUNCTIONS.map(|(name, _)| name);
            let message = format!(
                "there is no function {word}{}",
                match &*suggestion(word, names) {
                    "" => format!("; there are {}", names.join(", ")),
                    nearest => nearest.to_owned(),
                }
            );
            self.error(start, &message)
        })
    }

    /// Parses a text in quotes. As in Go, a text in backquotes has no escapes.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let start = self.index;
        self.index += 1;
        let mut text = String::new();
        loop {
            let Some(letter) = self.rest().chars().next() else {
                return Err(self.error(start, &format!("the text has no closing {quote}")));
            };
            self.index += 1;
            if letter == quote {
                return Ok(text);
            }
            if letter == '\\' && quote == '"' {
                let escaped = self.rest().chars().next().filter(|escaped| matches!(escaped, '"' | '\\'));
                let Some(escaped) = escaped else {
                    return Err(self.error(self.index - 1, "only \\\" and \\\\ are escapes"));
                };
                self.index += 1;
                text.push(escaped);
            } else {
                text.push(letter);
            }
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        let begins = self.rest().starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        begins.then(|| self.take_while(is_word))
    }

    fn take_while(&mut self, accept: fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|letter| !accept(letter)).unwrap_or(rest.len())];
        self.index += taken.len();
        taken
    }

    fn skip_spaces(&mut self) {
        self.take_while(|letter| letter == ' ');
    }

    fn rest(&self) -> &'a str {
        &self.source[self.index..]
    }

    fn unexpected(&self, expected: &str) -> String {
        self.error(self.index, &format!("expected {expected}"))
    }

    fn error(&self, index: usize, message: &str) -> String {
        at(self.source, index, message)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}
