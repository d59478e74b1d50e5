//! `name_template` of a role: the names of its tokens at the service, in Vault's template language.
//!
//! The write-ahead log finds a token by its name. So every name must be unique, also for a service that compares names without regard to
//! upper and lower case. A template is accepted only if its names contain [`MIN_RANDOM_BITS`] random bits, whatever the display name of
//! the caller is. A name that is too long for the service loses letters of the role and of the caller, and never random letters.

mod expression;
mod functions;
mod layout;
#[cfg(any(test, feature = "fuzzing"))]
mod properties;
mod traced_text;

use jiff::Timestamp;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::properties::assert_names_are_unique;

use self::expression::{Expression, Part, Variable, parse};
use self::functions::{Argument, call};
use self::traced_text::{NameRules, TracedText};
use crate::role_name::RoleName;

/// The minimum number of random bits in a name. With 64 bits, the probability of any collision among a million tokens is below 1 in
/// 30 million.
const MIN_RANDOM_BITS: f64 = 64.0;

/// The maximum length of a template. Longer ones are longer than any name.
const MAX_TEMPLATE_LENGTH: usize = 1024;

/// Only this many letters of a display name are used. A name has at most 255.
const MAX_DISPLAY_NAME_LENGTH: usize = 256;

/// The length of a name if the description of the API limits it not. Databases usually store names in columns of this length.
const DEFAULT_MAX_LENGTH: usize = 255;

/// The maximum length of a name before it is fitted to the API. It limits the work that a template can cause.
const MAX_UNFITTED_LENGTH: usize = 1024;

/// The maximum length of a DNS label.
const MAX_DNS_LABEL_LENGTH: usize = 63;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct NameTemplate(Vec<Part>);

/// Which names the API accepts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameLimits {
    /// The maximum length that the description of the API states.
    pub(crate) max_length: Option<usize>,
    /// Whether names contain only lower-case letters, digits and `-`.
    pub(crate) dns_label: bool,
}

/// The values of the fields of a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameValues<'a> {
    pub(crate) role: &'a RoleName,
    /// The display name of the caller's Vault token.
    pub(crate) display_name: &'a str,
    pub(crate) now: Timestamp,
}

/// Why a template is refused, or cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name_template: {0}")]
pub(crate) struct NameTemplateError(String);

impl NameTemplate {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<NameTemplate, NameTemplateError> {
        if source.len() > MAX_TEMPLATE_LENGTH {
            return Err(NameTemplateError(format!("it is longer than {MAX_TEMPLATE_LENGTH} bytes")));
        }
        parse(source).map(NameTemplate).map_err(NameTemplateError)
    }

    /// Checks that every name of a role is unique and valid for the API, whatever the display name of the caller is.
    pub(crate) fn check(&self, role: &RoleName, limits: NameLimits) -> Result<(), NameTemplateError> {
        let longest = "x".repeat(MAX_DISPLAY_NAME_LENGTH);
        for length in 0..=longest.len() {
            let display_name = &longest[..length];
            let name = self.traced(&NameValues { role, display_name, now: Timestamp::now() }, limits)?;
            let bits = name.random_bits();
            if bits < MIN_RANDOM_BITS {
                return Err(NameTemplateError(format!(
                    "a name has only {bits:.0} random bits and needs {MIN_RANDOM_BITS:.0}, because tokens are found by their names; \
                     use at least {{{{ random 13 }}}} or {{{{ uuid }}}}{}",
                    if length > 0 { ", and do not truncate it behind a display name" } else { "" }
                )));
            }
        }
        Ok(())
    }

    /// Returns a new name.
    pub(crate) fn render(
        &self,
        values: &NameValues<'_>,
        limits: NameLimits,
    ) -> Result<String, NameTemplateError> {
        let name = self.traced(values, limits)?;
        if name.random_bits() < MIN_RANDOM_BITS {
            return Err(NameTemplateError("a name of this role would not be unique".to_owned()));
        }
        Ok(name.to_string())
    }

    fn traced(&self, values: &NameValues<'_>, limits: NameLimits) -> Result<TracedText, NameTemplateError> {
        let mut name = TracedText::default();
        for part in &self.0 {
            name.append(match part {
                Part::Text(text) => TracedText::literal(text),
                Part::Expression(expression) => {
                    evaluate(expression, values).map_err(NameTemplateError)?.into_text()
                }
            });
            check_length(&name).map_err(NameTemplateError)?;
        }
        let default = if limits.dns_label { MAX_DNS_LABEL_LENGTH } else { DEFAULT_MAX_LENGTH };
        let rules =
            NameRules { max_length: limits.max_length.unwrap_or(default), dns_label: limits.dns_label };
        name.fit(rules).map_err(NameTemplateError)
    }
}

fn evaluate(expression: &Expression, values: &NameValues<'_>) -> Result<Argument, String> {
    Ok(match expression {
        Expression::Text(text) => Argument::Text(TracedText::literal(text)),
        Expression::Number(number) => Argument::Number(*number),
        Expression::Variable(Variable::RoleName) => {
            Argument::Text(TracedText::variable(&values.role.to_string()))
        }
        Expression::Variable(Variable::DisplayName) => {
            let letters = values.display_name.chars().take(MAX_DISPLAY_NAME_LENGTH);
            // Another letter may be normalized by the service, and a space at an end removed. The exact search would then find nothing.
            let plain = letters.map(|letter| if letter.is_ascii_graphic() { letter } else { '-' });
            Argument::Text(TracedText::variable(&plain.collect::<String>()))
        }
        Expression::Call { function, arguments } => {
            let arguments: Result<Vec<Argument>, String> =
                arguments.iter().map(|argument| evaluate(argument, values)).collect();
            let text = call(*function, arguments?, values.now)?;
            check_length(&text)?;
            Argument::Text(text)
        }
    })
}

fn check_length(text: &TracedText) -> Result<(), String> {
    if text.len() > MAX_UNFITTED_LENGTH {
        return Err(format!("a name could become longer than {MAX_UNFITTED_LENGTH} letters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
