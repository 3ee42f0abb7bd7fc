package panamoe.spring.ai;

import java.nio.file.Path;
import org.springframework.ai.chat.client.ChatClient;
import panamoe.text.TextService;

/** Snippets of docs/frameworks.md. */
final class SpringExample {
  private SpringExample() {}

  /** What the model fills in. */
  record City(Continent continent, boolean capital) {}

  /** Where it is. */
  enum Continent {
    ASIA,
    EUROPE
  }

  static String ask(Path path) {
    // @start region="chat"
    try (TextService service = TextService.open(path)) { // also Path.of("hf:Qwen/...-GGUF:Q4_K_M")
      ChatClient client = ChatClient.create(PanamoeChatModel.of(service));
      return client.prompt("What is the capital of Germany?").call().content();
    }
    // @end
  }

  static City city(ChatClient client) {
    // @start region="schema"
    return client
        .prompt("A city, as JSON")
        .options(PanamoeChatOptions.builder().maxTokens(400).temperature(0.7).seed(1L))
        .call()
        .entity(City.class, entity -> entity.useProviderStructuredOutput());
    // @end
  }
}
