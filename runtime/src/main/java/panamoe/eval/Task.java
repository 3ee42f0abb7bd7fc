package panamoe.eval;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.io.Require;
import tools.jackson.databind.node.JsonNodeFactory;

/** A question with one right answer. Strings are used unchanged, blanks included. */
public sealed interface Task {
  enum Kind {
    /** The last word of a passage (LAMBADA). */
    LAST_WORD,
    /** One of several continuations (PIQA, RACE, BoolQ). */
    CHOICE,
    /** A short answer that the model writes (TriviaQA, WebQs). */
    ANSWER
  }

  Kind kind();

  /** The task and its right answer as one text: an example for other tasks. */
  String solved();

  /** This task with {@code text} before its context. */
  Task after(String text);

  /** A string as JSON quotes it, for messages. */
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

    /** The context: all before the last word and its leading white space. */
    public String context() {
      return part(1);
    }

    /** The last word, with its leading white space. */
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

    @Override
    public String solved() {
      return text.stripTrailing();
    }

    @Override
    public Task after(String before) {
      return new LastWord(before + text);
    }
  }

  /**
   * Correct if the right choice is the most probable continuation of the context.
   *
   * @param context empty if the choices begin a document
   * @param choices at least two, all different, none empty
   * @param answer index of the right choice, from 0
   */
  record Choice(String context, List<String> choices, int answer) implements Task {
    public Choice {
      Require.that(context != null, "context is null, expected a string");
      if (choices == null
          || choices.size() < 2
          || choices.stream()
              .anyMatch(choice -> Objects.requireNonNullElse(choice, "").isEmpty())) {
        throw Require.refusal(
            "choices is %s, expected two strings or more, none of them empty",
            choices == null ? null : choices.stream().map(Task::quoted).toList());
      }
      if (Set.copyOf(choices).size() < choices.size()) {
        throw Require.refusal(
            "choices is %s, expected different strings: of equal ones none is the best",
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

    @Override
    public String solved() {
      return context + choices.get(answer);
    }

    @Override
    public Task after(String before) {
      return new Choice(before + context, choices, answer);
    }
  }

  /**
   * Correct if the line that the model writes after the context is one of the answers: see {@link
   * TaskEvaluator}.
   *
   * @param context not empty; the answer follows after a blank
   * @param answers the right ones, such as a name and its aliases: at least one, none empty
   */
  record Answer(String context, List<String> answers) implements Task {
    public Answer {
      Require.that(
          context != null && !context.isEmpty(), "context is null or empty, expected a question");
      if (answers == null
          || answers.isEmpty()
          || answers.stream().anyMatch(each -> each == null || each.isBlank())) {
        throw Require.refusal(
            "answers is %s, expected one string or more, none of them empty",
            answers == null ? null : answers.stream().map(Task::quoted).toList());
      }
      answers = List.copyOf(answers);
    }

    @Override
    public Kind kind() {
      return Kind.ANSWER;
    }

    @Override
    public String solved() {
      return context + " " + answers.getFirst();
    }

    @Override
    public Task after(String before) {
      return new Answer(before + context, answers);
    }
  }
}
