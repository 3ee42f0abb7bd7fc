package panamoe.conversation.reply;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.ByteTokenizer;

/** Thoughts are separated from the answer, however the text is split into pieces. */
class ReasoningReaderTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "false | <think>@hm, <b> < 3@</think>@@So. | hm, <b> < 3 | So.",
        "false | @<think>a</think>b</think> | a | b</think>",
        "false | <think>@@</think>@@b | `` | b",
        "false | So <think>no</think> | `` | So <think>no</think>",
        "false | ` @So ` | `` | ` @So `",
        "false | <thin | `` | <thin",
        "false | <think>a </thi | a </thi | ``",
        "false | <think>a@ | a | ``",
        "true | @a@ b@</think>@c@ | a@ b | c@",
        "true | a | a | ``"
      })
  void aTextIsReadInAnyPieces(boolean begun, String text, String reasoning, String content) {
    String given = text.replace('@', '\n');
    for (int size = 1; size <= given.length(); size++) {
      Reply reader = ReplyForm.HERMES.reply(new ByteTokenizer(), true, begun, Map.of());
      StringBuilder thoughts = new StringBuilder();
      StringBuilder answer = new StringBuilder();
      for (int at = 0; at < given.length(); at += size) {
        Reply.Read read = reader.next(given.substring(at, Math.min(given.length(), at + size)));
        thoughts.append(read.reasoning());
        answer.append(read.content());
      }
      Reply.Read last = reader.end(false);
      assertEquals(reasoning.replace('@', '\n'), thoughts + last.reasoning(), "by " + size);
      assertEquals(content.replace('@', '\n'), answer + last.content(), "by " + size);
    }
  }
}
