package panamoe.spring.boot;

import io.micrometer.observation.ObservationRegistry;
import java.nio.file.Path;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import panamoe.api.PanamoeException;
import panamoe.spring.ai.PanamoeChatModel;
import panamoe.spring.ai.PanamoeChatOptions;
import panamoe.spring.ai.PanamoeEmbeddingModel;
import panamoe.text.EmbeddingModel;
import panamoe.text.EmbeddingOptions;
import panamoe.text.ModelOptions;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/**
 * Opens the models that {@link PanamoeProperties} names, and puts Spring AI's interfaces over them.
 * An own bean of a class replaces the one here. Models are closed after the beans that use them.
 */
@AutoConfiguration(
    afterName = "org.springframework.ai.model.tool.autoconfigure.ToolCallingAutoConfiguration")
@EnableConfigurationProperties(PanamoeProperties.class)
public final class PanamoeAutoConfiguration {
  private final PanamoeProperties properties;

  PanamoeAutoConfiguration(PanamoeProperties properties) {
    this.properties = properties;
  }

  @Bean(destroyMethod = "close")
  @ConditionalOnProperty("panamoe.chat.path")
  @ConditionalOnMissingBean
  TextService panamoeTextService() {
    PanamoeProperties.Chat chat = properties.chat();
    return TextService.open(
        Path.of(chat.path()),
        ModelOptions.USUAL
            .withSequences(chat.sequences())
            .withContext(chat.context())
            .withChatTemplate(chat.template()),
        new ServiceOptions(
            chat.waiting(), chat.drain(), properties.device(), properties.threads()));
  }

  @Bean
  @ConditionalOnBean(TextService.class)
  @ConditionalOnProperty(
      name = SpringAIModelProperties.CHAT_MODEL,
      havingValue = "panamoe",
      matchIfMissing = true)
  @ConditionalOnMissingBean
  PanamoeChatModel panamoeChatModel(
      TextService service,
      ObjectProvider<ToolCallingManager> tools,
      ObjectProvider<ObservationRegistry> observations,
      ObjectProvider<ChatModelObservationConvention> convention) {
    PanamoeProperties.Options options = properties.chat().options();
    return PanamoeChatModel.builder()
        .service(service)
        .options(
            PanamoeChatOptions.builder()
                .model(properties.chat().name())
                .maxTokens(options.maxTokens())
                .temperature(options.temperature())
                .topK(options.topK())
                .topP(options.topP())
                .minP(options.minP())
                .repetitionPenalty(options.repetitionPenalty())
                .seed(options.seed())
                .timeout(options.timeout())
                .build())
        .toolCallingManager(tools.getIfUnique(() -> ToolCallingManager.builder().build()))
        .observations(
            observations.getIfUnique(() -> ObservationRegistry.NOOP), convention.getIfAvailable())
        .build();
  }

  @Bean(destroyMethod = "close")
  @ConditionalOnProperty("panamoe.embedding.path")
  @ConditionalOnMissingBean
  EmbeddingModel panamoeOpenEmbeddingModel() {
    PanamoeProperties.Embedding embedding = properties.embedding();
    return EmbeddingModel.open(
        Path.of(embedding.path()), properties.retrieval(embedding.longest()));
  }

  @Bean
  @ConditionalOnBean(EmbeddingModel.class)
  @ConditionalOnProperty(
      name = SpringAIModelProperties.EMBEDDING_MODEL,
      havingValue = "panamoe",
      matchIfMissing = true)
  @ConditionalOnMissingBean
  PanamoeEmbeddingModel panamoeEmbeddingModel(
      EmbeddingModel model,
      ObjectProvider<ObservationRegistry> observations,
      ObjectProvider<EmbeddingModelObservationConvention> convention) {
    PanamoeProperties.Embedding embedding = properties.embedding();
    return PanamoeEmbeddingModel.builder()
        .model(model)
        .name(embedding.name())
        .texts(options("query", embedding.queryPrompt(), model))
        .documents(options("document", embedding.documentPrompt(), model))
        .observations(
            observations.getIfUnique(() -> ObservationRegistry.NOOP), convention.getIfAvailable())
        .build();
  }

  private EmbeddingOptions options(String task, String prompt, EmbeddingModel model) {
    if (prompt != null && !model.prompts().containsKey(prompt)) {
      throw new PanamoeException.BadArgument(
          "panamoe.embedding."
              + task
              + "-prompt is "
              + prompt
              + ", the model's prompts are "
              + model.prompts().keySet(),
          null);
    }
    return EmbeddingOptions.USUAL
        .withPromptName(prompt)
        .withDimensions(properties.embedding().dimensions());
  }
}
