//! Templates of programs that make manifests, which nothing has rendered yet.

use super::location::Position;

/// Words that only Helm's templates have.
const WORDS_OF_HELM: [&str; 8] =
    [".Values", ".Release", ".Chart.", ".Capabilities", ".Files.", "include \"", "toYaml", "tpl "];
/// Actions at the beginning of a line, where those of External Secrets Operator's templates, in quotes or in a block, never are.
const ACTIONS: [&str; 6] = ["if ", "else", "end", "range ", "with ", "define "];

/// The first place of a text that is a template of Helm's; comments aside.
pub(super) fn of_helm(text: &str) -> Option<Position> {
    let mut all = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    all.find_map(|(index, line)| {
        let at = line.find("{{").filter(|at| is_of_helm(line, &line[at + 2..]))?;
        Some(Position { line: index + 1, column: line[..at].chars().count() + 1 })
    })
}

fn is_of_helm(line: &str, action: &str) -> bool {
    let has_a_word = WORDS_OF_HELM.iter().any(|word| action.contains(word));
    let action = action.trim_start_matches('-').trim_start();
    has_a_word || (line.starts_with("{{") && ACTIONS.iter().any(|word| action.starts_with(word)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::value("a: b\nname: {{ .Values.name }}\n", Some((2, 7)))]
    #[case::in_quotes("name: \"{{ .Release.Name }}-store\"\n", Some((1, 8)))]
    #[case::action("{{- if .Values.on }}\na: b\n{{- end }}\n", Some((1, 1)))]
    #[case::end_alone("a: b\n{{- end }}\n", Some((2, 1)))]
    #[case::included("labels:\n  {{- include \"chart.labels\" . | nindent 4 }}\n", Some((2, 3)))]
    #[case::of_the_operator("a: '{{ .token }}'\nb: \"{{ if .x }}y{{ end }}\"\n", None)]
    #[case::in_a_block_of_the_operator("a: |\n  {{ if .x }}y\n  {{ end }}\n", None)]
    #[case::comment("# {{ .Values.name }}\na: b\n", None)]
    fn templates_of_helm_are_told_by_their_words(#[case] text: &str, #[case] expected: Option<(usize, usize)>) {
        assert_eq!(of_helm(text).map(|at| (at.line, at.column)), expected);
    }
}
