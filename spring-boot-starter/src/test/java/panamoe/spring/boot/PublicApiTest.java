package panamoe.spring.boot;

import java.util.Map;
import org.junit.jupiter.api.Test;
import panamoe.testkit.PublicApi;

/** The public API of all modules but that of Spark, whose jars are not here. */
class PublicApiTest {
  @Test
  void theListIsWholeAndLosesNothing() throws Exception {
    PublicApi.requireListed(
        Map.of(
            "java-api", "panamoe.api",
            "text", "panamoe.text",
            "djl", "panamoe.djl",
            "langchain4j", "panamoe.langchain4j",
            "spring-ai", "panamoe.spring.ai",
            "spring-boot-starter", "panamoe.spring.boot"),
        line -> !line.contains("panamoe.spark."));
  }
}
