package panamoe.eval;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.io.Require;
import tools.jackson.databind.node.JsonNodeFactory;

/** A question with one right answer. The texts are taken as they are, blanks included. */
public sealed interface Task {
  /** Which question is asked. */
  enum Kind {
    /** The last word of a text, as LAMBADA asks it. */
    LAST_WORD,
    /** One of several continuations, as PIQA and RACE ask it. */
    CHOICE
  }

  Kind kind();

  /** A text as JSON has it, for messages. */
  private static String quoted(String text) {
    return text == null ? "null" : JsonNodeFactory.instance.stringNode(text).toString();
  }

  /**
   * Correct if each token of the last word is the most probable one.
   *
   * @param text with at least two words; white space at its end does not count
   */
  record LastWord(String text) implements Task {
    private static final Pattern LAST_WORD = Pattern.compile("(?s)(.*\\S)(\\s+\\S+)\\s*");

    public LastWord {
      if (text == null || !LAST_WORD.matcher(text).matches()) {
        throw new IllegalArgumentException(
            "text is " + quoted(text) + ", expected at least two words");
      }
    }

    /** The text before the last word and the white space in front of it. */
    public String context() {
      return part(1);
    }

    /** The last word, with the white space in front of it. */
    public String word() {
      return part(2);
    }

    private String part(int group) {
      Matcher matcher = LAST_WORD.matcher(text);
      return matcher.matches() ? matcher.group(group) : null;
    }

    @Override
    public Kind kind() {
      return Kind.LAST_WORD;
    }
  }

  /**
   * Correct if the right choice is the most probable continuation of the context.
   *
   * @param context empty for the beginning of a text
   * @param choices at least two, all different, none empty
   * @param answer index of the right choice, from 0
   */
  record Choice(String context, List<String> choices, int answer) implements Task {
    public Choice {
      Require.that(context != null, "context is null, expected a text");
      if (choices == null
          || choices.size() < 2
          || choices.stream()
              .anyMatch(choice -> Objects.requireNonNullElse(choice, "").isEmpty())) {
        throw Require.refusal(
            "choices is %s, expected two texts or more, none of them empty",
            choices == null ? null : choices.stream().map(Task::quoted).toList());
      }
      if (Set.copyOf(choices).size() < choices.size()) {
        throw Require.refusal(
            "choices is %s, expected different texts: of equal ones none is the best",
            choices.stream().map(Task::quoted).toList());
      }
      if (answer < 0 || answer >= choices.size()) {
        throw new IllegalArgumentException(
            "answer is " + answer + ", expected 0 to " + (choices.size() - 1));
      }
      choices = List.copyOf(choices);
    }

    @Override
    public Kind kind() {
      return Kind.CHOICE;
    }
  }
}
