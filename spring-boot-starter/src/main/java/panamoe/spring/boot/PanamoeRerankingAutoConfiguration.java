package panamoe.spring.boot;

import java.nio.file.Path;
import org.springframework.ai.rag.postretrieval.document.DocumentPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import panamoe.spring.ai.PanamoeReranker;
import panamoe.text.RerankingModel;

/** Opens a reranking model, if the application has {@code spring-ai-rag}. */
@AutoConfiguration
@ConditionalOnClass(DocumentPostProcessor.class)
@EnableConfigurationProperties(PanamoeProperties.class)
public final class PanamoeRerankingAutoConfiguration {
  private final PanamoeProperties properties;

  PanamoeRerankingAutoConfiguration(PanamoeProperties properties) {
    this.properties = properties;
  }

  @Bean(destroyMethod = "close")
  @ConditionalOnProperty("panamoe.reranking.path")
  @ConditionalOnMissingBean
  RerankingModel panamoeRerankingModel() {
    PanamoeProperties.Reranking reranking = properties.reranking();
    return RerankingModel.open(
        Path.of(reranking.path()), properties.retrieval(reranking.longest()));
  }

  @Bean
  @ConditionalOnBean(RerankingModel.class)
  @ConditionalOnMissingBean
  PanamoeReranker panamoeReranker(RerankingModel model) {
    PanamoeProperties.Reranking reranking = properties.reranking();
    return PanamoeReranker.of(model, reranking.most(), reranking.instruction());
  }
}
