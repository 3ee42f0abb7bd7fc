package example;

import java.util.List;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.boot.ApplicationArguments;
import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.health.contributor.HealthIndicator;
import panamoe.spring.ai.PanamoeChatOptions;

/** Asks a model in this process by Spring AI: a line for each step, exit code 1 if one fails. */
@SpringBootApplication
public class Application implements ApplicationRunner {
  record Letter(Side side) {}

  enum Side {
    AYES,
    NOES
  }

  private final ChatClient client;
  private final HealthIndicator health;

  Application(ChatClient.Builder builder, HealthIndicator panamoeHealthIndicator) {
    client = builder.defaultSystem("Answer like a secretary.").build();
    health = panamoeHealthIndicator;
  }

  public static void main(String[] arguments) {
    SpringApplication.run(Application.class, arguments).close();
  }

  @Override
  public void run(ApplicationArguments arguments) {
    ChatResponse answer = question().call().chatResponse();
    String text = answer.getResult().getOutput().getText();
    int tokens = answer.getMetadata().getUsage().getCompletionTokens();
    check(tokens > 0 && tokens <= 40 && answer.getMetadata().getUsage().getPromptTokens() > 0);
    said("chat", text);

    List<String> pieces = question().stream().content().collectList().block();
    check(pieces.size() > 1 && String.join("", pieces).equals(text));
    said("stream", pieces.size() + " pieces");

    Letter letter =
        question()
            .options(PanamoeChatOptions.builder().maxTokens(400))
            .call()
            .entity(Letter.class, entity -> entity.useProviderStructuredOutput());
    check(letter.side() != null);
    said("schema", letter.toString());

    check(question().stream().content().take(2).collectList().block().size() == 2);
    check(question().call().content().equals(text));
    said("cancel", "the next answer is the same");

    said("health", health.health().getStatus().toString());
  }

  private ChatClient.ChatClientRequestSpec question() {
    return client.prompt("Whom does the committee thank?");
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
