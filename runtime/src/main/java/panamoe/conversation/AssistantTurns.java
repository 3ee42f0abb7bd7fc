package panamoe.conversation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.Prompt;
import panamoe.data.PackedExamples.Example;
import panamoe.data.Tokenizer;
import panamoe.io.Require;
import tools.jackson.databind.node.ObjectNode;

/**
 * Examples of what the assistant wrote in a conversation: its thoughts, words and calls, and the
 * token that ends its turn, as the model would see them. Every turn is trained once, after exactly
 * the prompt that {@link ChatFormat#prompt} gives for the messages before it. Turns share an
 * example as long as each prompt continues the text so far. Many templates drop the thoughts of
 * earlier turns: the next turn then begins an example of its own, without them.
 */
final class AssistantTurns {
  private final ChatFormat format;
  private final Conversation conversation;
  private final ObjectNode variables;
  private final Tokenizer tokenizer;
  private final Set<Integer> ends;

  private AssistantTurns(ChatFormat format, Conversation conversation, ObjectNode variables) {
    this.format = format;
    this.conversation = conversation;
    this.variables = variables;
    this.tokenizer = format.tokenizer();
    this.ends = new HashSet<>(format.ends().tokens());
    Arrays.stream(tokenizer.ends()).forEach(ends::add);
  }

  /**
   * The examples of a conversation.
   *
   * @param variables of the template
   * @throws panamoe.conversation.template.TemplateException if the template refuses the
   *     conversation
   * @throws IllegalArgumentException if no message of the assistant answers another one, or the
   *     template does not show which text is the assistant's
   */
  static List<Example> examples(
      ChatFormat format, Conversation conversation, ObjectNode variables) {
    return new AssistantTurns(format, conversation, variables).examples();
  }

  private List<Example> examples() {
    List<Example> examples = new ArrayList<>();
    for (int i = 1; i < conversation.messages().size(); i++) { // a first message answers nothing
      if (conversation.isTrained(i)) {
        Example turn = ending(i);
        if (!examples.isEmpty() && joins(turn, examples.getLast())) {
          turn.targets().or(examples.removeLast().targets());
        }
        examples.add(turn);
      }
    }
    Require.that(!examples.isEmpty(), "no message of the assistant answers another one");
    return examples.stream().map(this::ended).toList();
  }

  /** The example whose only turn is message {@code last}: its prompt, and what continues that. */
  private Example ending(int last) {
    Prompt prompt = rendered(last, true);
    int[] before = format.tokens(prompt);
    int[] after = continuation(last, prompt, before);
    int end = 0;
    while (end < after.length && !ends.contains(after[end])) {
      end++;
    }
    int[] turn = Arrays.copyOf(after, Math.min(end + 1, after.length));
    requireShown(last, tokenizer.decode(turn));
    BitSet trained = new BitSet();
    trained.set(before.length, before.length + turn.length);
    return new Example(joined(before, turn), trained);
  }

  /** The tokens of message {@code last} behind its prompt. */
  private int[] continuation(int last, Prompt prompt, int... before) {
    Prompt whole = rendered(last + 1, false);
    int[] tokens = format.tokens(whole);
    if (tokens.length > before.length && Arrays.mismatch(before, tokens) == before.length) {
      return Arrays.copyOfRange(tokens, before.length, tokens.length);
    }
    if (whole.text().startsWith(prompt.text())) {
      return format.tokensBehind(whole, prompt.text().length());
    }
    int thoughts = prompt.text().lastIndexOf(ReplyForm.THINK);
    boolean open = prompt.endsWith(ReplyForm.THINK);
    Require.that(
        (open || prompt.endsWith(ReplyForm.THOUGHT))
            && thoughts >= 0
            && whole.text().startsWith(prompt.text().substring(0, thoughts)),
        "%s does not show where message %s, the assistant's, begins",
        name(),
        last + 1);
    return open
        ? thinking(whole, thoughts, conversation.messages().get(last).reasoning())
        : format.tokensBehind(whole, behindThoughts(whole.text(), thoughts));
  }

  /**
   * The tokens behind a prompt that begins thoughts, although the template shows the message
   * without them, or begins them otherwise.
   *
   * @param from where the message begins in {@code whole}
   * @param thought null for none
   */
  private int[] thinking(Prompt whole, int from, String thought) {
    if (whole.text().startsWith(ReplyForm.THINK, from)) {
      return format.tokensBehind(whole, from + ReplyForm.THINK.length());
    }
    String own = thought == null || thought.isBlank() ? "" : thought.strip() + "\n";
    String end = whole.text().startsWith(ReplyForm.THOUGHT, from) ? "" : ReplyForm.THOUGHT + "\n\n";
    BitSet literal = new BitSet();
    literal.set(0, own.length());
    return joined(
        format.tokensBehind(new Prompt(own + end, literal), 0), format.tokensBehind(whole, from));
  }

  /** Where a message continues a prompt that begins and ends thoughts. */
  private static int behindThoughts(String text, int from) {
    boolean shown =
        text.startsWith(ReplyForm.THINK, from) || text.startsWith(ReplyForm.THOUGHT, from);
    int end = text.indexOf(ReplyForm.THOUGHT, from);
    return shown && end >= 0 ? end + ReplyForm.THOUGHT.length() : from;
  }

  private Prompt rendered(int messages, boolean answer) {
    return format.render(
        conversation.messages().subList(0, messages), conversation.tools(), variables, answer);
  }

  private static int[] joined(int[] one, int[] other) {
    return IntStream.concat(IntStream.of(one), IntStream.of(other)).toArray();
  }

  /** Some templates leave out thoughts or calls: a model would learn to do without them. */
  private void requireShown(int message, String text) {
    Message shown = conversation.messages().get(message);
    for (FunctionCall call : shown.calls()) {
      Require.that(
          text.contains(call.name()),
          "%s does not show the calls of message %s",
          name(),
          message + 1);
    }
    Require.that(
        shown.reasoning() == null || text.contains(shown.reasoning().strip()),
        "%s does not show the thoughts of message %s",
        name(),
        message + 1);
  }

  private String name() {
    return format.template().map(shown -> shown.name()).orElse("the format");
  }

  private static boolean beginsWith(int[] tokens, int... start) {
    return start.length <= tokens.length
        && Arrays.mismatch(start, Arrays.copyOf(tokens, start.length)) < 0;
  }

  private boolean isEnded(Example example) {
    return ends.contains(example.tokens()[example.tokens().length - 1]);
  }

  /**
   * Whether a turn's example continues an earlier one, whose end it shows. In some formats the next
   * message's first token ends a turn (GLM's {@code <|user|>}): it is trained too.
   */
  private boolean joins(Example turn, Example earlier) {
    int next = earlier.tokens().length;
    if (!beginsWith(turn.tokens(), earlier.tokens())) {
      return false;
    }
    if (isEnded(earlier)) {
      return true;
    }
    boolean ends = turn.tokens().length > next && this.ends.contains(turn.tokens()[next]);
    turn.targets().set(next, ends || turn.targets().get(next));
    return ends;
  }

  /** An example whose last turn ends: a model must learn to stop. */
  private Example ended(Example example) {
    if (isEnded(example)) {
      return example;
    }
    int end = example.tokens().length;
    example.targets().set(end);
    return new Example(
        joined(example.tokens(), new int[] {tokenizer.endOfText()}), example.targets());
  }
}
