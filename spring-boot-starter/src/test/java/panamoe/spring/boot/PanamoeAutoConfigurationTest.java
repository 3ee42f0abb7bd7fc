package panamoe.spring.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.document.Document;
import org.springframework.ai.rag.Query;
import org.springframework.ai.rag.postretrieval.document.DocumentPostProcessor;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.diagnostics.FailureAnalyzer;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.io.support.SpringFactoriesLoader;
import panamoe.api.PanamoeException;
import panamoe.retrieval.RetrievalFolder;
import panamoe.spring.ai.TinyModel;
import panamoe.text.EmbeddingModel;
import panamoe.text.GenerationOptions;
import panamoe.text.RerankingModel;
import panamoe.text.TextService;

/** Applications over tiny models. */
@Timeout(120)
class PanamoeAutoConfigurationTest {
  /** An application without beans of its own. */
  @Configuration(proxyBeanMethods = false)
  @EnableAutoConfiguration
  static class Empty {}

  /** An application that asks while it ends. */
  @Configuration(proxyBeanMethods = false)
  @EnableAutoConfiguration
  static class Asking {
    static final List<String> LAST_WORDS = new ArrayList<>();

    @Bean
    DisposableBean asker(ChatModel model) {
      return () -> LAST_WORDS.add(model.call("the cat"));
    }
  }

  @TempDir private static Path chat;
  @TempDir private static Path retrieval;

  @BeforeAll
  static void write() throws IOException {
    TinyModel.write(chat);
    RetrievalFolder.write(retrieval, "lasttoken", true);
  }

  private static ConfigurableApplicationContext run(Class<?> application, String... more) {
    Stream<String> usual =
        Stream.of(
            "--panamoe.device=cpu",
            "--panamoe.threads=1",
            "--panamoe.chat.path=" + chat,
            "--panamoe.chat.template=" + TinyModel.TEMPLATE,
            "--panamoe.chat.options.max-tokens=5",
            "--panamoe.embedding.path=" + retrieval,
            "--panamoe.embedding.query-prompt=query",
            "--panamoe.reranking.path=" + retrieval,
            "--panamoe.reranking.most=1",
            "--logging.level.root=warn",
            "--spring.main.banner-mode=off");
    return start(application, Stream.concat(usual, Stream.of(more)));
  }

  private static ConfigurableApplicationContext start(
      Class<?> application, Stream<String> settings) {
    return new SpringApplicationBuilder(application)
        .web(WebApplicationType.NONE)
        .run(settings.toArray(String[]::new));
  }

  @Test
  void propertiesOpenModels() {
    try (ConfigurableApplicationContext context = run(Empty.class)) {
      ChatClient client = context.getBean(ChatClient.Builder.class).build();
      assertEquals(
          5,
          client
              .prompt("the cat")
              .call()
              .chatResponse()
              .getMetadata()
              .getUsage()
              .getCompletionTokens());
      var embedding = context.getBean(org.springframework.ai.embedding.EmbeddingModel.class);
      assertEquals(48, embedding.embed("the hat").length);
      List<Document> documents = List.of(new Document("the hat"), new Document("a cat"));
      DocumentPostProcessor reranker = context.getBean(DocumentPostProcessor.class);
      assertEquals(1, reranker.process(new Query("a cat"), documents).size());
      HealthIndicator health = context.getBean("panamoeHealthIndicator", HealthIndicator.class);
      assertEquals(Status.UP, health.health().getStatus());
      assertEquals(0, health.health().getDetails().get("unfinished"));
      context.getBean(TextService.class).close();
      assertEquals(Status.DOWN, health.health().getStatus());
    }
  }

  @Test
  void nothingIsOpenedWithoutAPath() {
    try (ConfigurableApplicationContext context = start(Empty.class, Stream.of())) {
      for (Class<?> type :
          List.of(
              ChatModel.class,
              TextService.class,
              EmbeddingModel.class,
              org.springframework.ai.embedding.EmbeddingModel.class,
              RerankingModel.class)) {
        assertTrue(context.getBeansOfType(type).isEmpty(), type.getName());
      }
      assertFalse(context.containsBean("panamoeHealthIndicator"));
    }
    try (ConfigurableApplicationContext context =
        run(Empty.class, "--spring.ai.model.chat=other", "--spring.ai.model.embedding=other")) {
      assertTrue(context.getBeansOfType(ChatModel.class).isEmpty());
      assertFalse(context.getBeansOfType(TextService.class).isEmpty());
    }
  }

  /** Like devtools does, in one process. */
  @Test
  void aReloadLeavesNoModelOpen() {
    List<Runnable> uses = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      try (ConfigurableApplicationContext context = run(Asking.class)) {
        TextService service = context.getBean(TextService.class);
        EmbeddingModel embedding = context.getBean(EmbeddingModel.class);
        RerankingModel reranking = context.getBean(RerankingModel.class);
        List<Runnable> now =
            List.of(
                () -> service.model().generate("the", GenerationOptions.of(1)),
                () -> embedding.embed("the"),
                () -> reranking.rerank("the", List.of("hat")));
        now.forEach(Runnable::run);
        uses.addAll(now);
      }
    }
    assertEquals(9, uses.size());
    uses.forEach(use -> assertThrows(IllegalStateException.class, use::run));
    assertEquals(3, Asking.LAST_WORDS.size()); // models are closed after their users
  }

  @Test
  void wrongSettingsAreRefusedAtStart() {
    refused("top-p", "--panamoe.chat.options.top-p=7");
    refused("/nowhere", "--panamoe.chat.path=/nowhere");
    refused("title", "--panamoe.embedding.query-prompt=title");
    refused("sequences", "--panamoe.chat.sequences=0");
    refused("longest", "--panamoe.reranking.longest=0");
    assertThrows(RuntimeException.class, () -> run(Empty.class, "--panamoe.device=abacus"));
  }

  private static void refused(String word, String setting) {
    RuntimeException failure =
        assertThrows(RuntimeException.class, () -> run(Empty.class, setting));
    FailureAnalyzer analyzer =
        SpringFactoriesLoader.forDefaultResourceLocation()
            .load(
                FailureAnalyzer.class,
                SpringFactoriesLoader.FailureHandler.handleMessage((_, _) -> {}))
            .stream()
            .filter(PanamoeFailureAnalyzer.class::isInstance)
            .findFirst()
            .orElseThrow();
    FailureAnalysis analysis = analyzer.analyze(failure);
    assertInstanceOf(PanamoeException.class, analysis.getCause());
    assertTrue(analysis.getDescription().contains(word), analysis.getDescription());
  }

  @Test
  void propertiesHaveMetadata() throws IOException {
    try (InputStream file =
        getClass().getResourceAsStream("/META-INF/spring-configuration-metadata.json")) {
      String metadata = new String(file.readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(metadata.contains("\"panamoe.chat.options.max-tokens\""), metadata);
      assertTrue(metadata.contains("most requests that wait"), metadata);
    }
  }
}
