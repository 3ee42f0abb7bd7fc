package panamoe.spark;

import java.util.Map;
import org.junit.jupiter.api.Test;
import panamoe.testkit.PublicApi;

/** The public API of this module. */
class SparkApiTest {
  @Test
  void theListIsWholeAndLosesNothing() throws Exception {
    PublicApi.requireListed(
        Map.of("spark", "panamoe.spark"), line -> line.contains("panamoe.spark."));
  }
}
