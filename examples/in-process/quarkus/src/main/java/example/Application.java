package example;

import dev.langchain4j.service.SystemMessage;
import io.quarkiverse.langchain4j.RegisterAiService;
import io.quarkus.runtime.QuarkusApplication;
import io.quarkus.runtime.annotations.QuarkusMain;
import io.smallrye.mutiny.Multi;
import jakarta.enterprise.context.control.ActivateRequestContext;
import java.util.List;

/** Asks a model in this process by an AI service: a line for each step, exit code 1 if one fails. */
@QuarkusMain
public class Application implements QuarkusApplication {
  record Letter(Side side) {}

  enum Side {
    AYES,
    NOES
  }

  @RegisterAiService(
      chatLanguageModelSupplier = Models.Chat.class,
      streamingChatLanguageModelSupplier = Models.Streaming.class)
  @SystemMessage("Answer like a secretary.")
  interface Secretary {
    String answer(String question);

    Multi<String> pieces(String question);

    Letter letter(String question);
  }

  private static final String QUESTION = "Whom does the committee thank?";

  private final Secretary secretary;

  Application(Secretary secretary) {
    this.secretary = secretary;
  }

  @Override
  @ActivateRequestContext
  public int run(String... arguments) {
    String text = secretary.answer(QUESTION);
    check(!text.isEmpty());
    said("chat", text);

    List<String> pieces = secretary.pieces(QUESTION).collect().asList().await().indefinitely();
    check(pieces.size() > 1 && String.join("", pieces).equals(text));
    said("stream", pieces.size() + " pieces");

    Letter letter = secretary.letter(QUESTION);
    check(letter.side() != null);
    said("schema", letter.toString());
    return 0;
  }

  private static void check(boolean isSo) {
    if (!isSo) {
      throw new AssertionError("the answer is another one");
    }
  }

  private static void said(String step, String what) {
    System.out.println(step + ": " + what.replace("\n", "\\n"));
  }
}
