package panamoe.harness.serve.responses;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.model.ServedModel;

/** Leaves out the oldest messages of a conversation that is longer than the context. */
final class Truncation {
  private Truncation() {}

  /** The conversation of all messages, or if it is to be truncated, of the latest that fit. */
  static Conversation of(Fields fields, List<Message> messages, ServedModel model) {
    String truncation = fields.text("truncation", "disabled");
    fields.require(
        Set.of("auto", "disabled").contains(truncation), "truncation", "is not auto or disabled");
    Conversation whole = Conversation.of(fields, messages, model.requireChat());
    int answer = fields.integer("max_tokens", Integer.MAX_VALUE, 0, Integer.MAX_VALUE);
    int room = model.context() - Math.min(answer, model.context() / 4);
    if (truncation.equals("disabled") || whole.tokens().length <= room) {
      return whole;
    }
    int head = 0; // the system's messages stay
    while (head < messages.size() && !isOf(messages.get(head), "user", "assistant")) {
      head++;
    }
    int kept = head;
    int[] turns =
        IntStream.range(head + 1, messages.size())
            .filter(i -> isOf(messages.get(i), "user"))
            .toArray();
    Conversation fitting = whole;
    for (int low = 0, high = turns.length; low < high; ) {
      int middle = (low + high) / 2;
      Conversation latest =
          Conversation.of(fields, from(messages, kept, turns[middle]), model.requireChat());
      if (latest.tokens().length <= room) {
        fitting = latest;
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return fitting;
  }

  private static boolean isOf(Message message, String... roles) {
    return List.of(roles).contains(message.role());
  }

  /** The first messages, and the last ones without outputs of calls that are not among them. */
  private static List<Message> from(List<Message> messages, int head, int turn) {
    List<Message> latest = new ArrayList<>(messages.subList(turn, messages.size()));
    Set<String> calls =
        latest.stream()
            .flatMap(message -> message.calls().stream())
            .map(FunctionCall::id)
            .collect(Collectors.toSet());
    latest.removeIf(message -> isOf(message, "tool") && !calls.contains(message.callId()));
    latest.addAll(0, messages.subList(0, head));
    return latest;
  }
}
