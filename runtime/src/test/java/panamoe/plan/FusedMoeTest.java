package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.io.Words;

/**
 * Eight published times that no constant was fitted to, next to the model's rules with the
 * constants of {@code dgx-b200}: DeepGEMM's fused MoE layer, dispatch and combine included, of 8
 * GPUs (pull request 316 of deepseek-ai/DeepGEMM).
 */
class FusedMoeTest {
  private static final int GPUS = 8;
  private static final double BANDWIDTH_SHARE = 0.9; // as assumed for the paper's system
  private static final double FP8_OVER_BFLOAT16 = 2;

  /** FP4 values with a scale of 8 bits for 32 of them. */
  private static final double BYTES_OF_A_WEIGHT = 4.25 / 8;

  /**
   * @param published microseconds, by tokens per GPU
   * @param teraflops published, which fix what is counted
   */
  private record Row(String model, int tokens, double published, int teraflops) {
    int experts() {
      return model.equals("V4-Flash") ? 256 : 384;
    }

    int hidden() {
      return model.equals("V4-Flash") ? 4096 : 7168;
    }

    int inner() {
      return model.equals("V4-Flash") ? 2048 : 3072;
    }

    double rows() {
      return 6.0 * tokens;
    }

    /** Of three matrices. */
    double flops() {
      return 6.0 * rows() * hidden() * inner();
    }

    double seconds(Node node) {
      double here = (double) experts() / GPUS;
      double hit = here * (1 - Math.pow(1 - 6.0 / experts(), (double) tokens * GPUS));
      double read = hit * 3 * hidden() * inner() * BYTES_OF_A_WEIGHT;
      double products =
          Math.max(
              read / (BANDWIDTH_SHARE * node.bandwidth().value()),
              flops() / (FP8_OVER_BFLOAT16 * node.flops().bfloat16().value()));
      double apart = rows() * hidden() * (GPUS - 1) / GPUS; // bytes in FP8
      return products
          + node.near().seconds(GPUS - 1, apart) // dispatch in FP8
          + node.near().seconds(GPUS - 1, 2 * apart); // combine in bfloat16
    }

    String line(Node node) {
      double micros = 1e6 * seconds(node);
      return Words.of(
              "| %s | %,d | %.1f | %.1f | %+.0f %% |",
              model, tokens, published, micros, 100 * (micros / published - 1))
          .replace('-', '−')
          .replace("V4−", "V4-");
    }
  }

  private static final List<Row> ROWS =
      List.of(
          new Row("V4-Flash", 1, 56.5, 5),
          new Row("V4-Flash", 512, 146.5, 1056),
          new Row("V4-Flash", 8192, 1283.1, 1928),
          new Row("V4-Flash", 32768, 4855.5, 2038),
          new Row("V4-Pro", 1, 108.1, 7),
          new Row("V4-Pro", 512, 369.6, 1098),
          new Row("V4-Pro", 8192, 2818.5, 2304),
          new Row("V4-Pro", 32768, 10655.2, 2438));

  /** So "batch size" is tokens on each GPU, and only the products' FLOPs are counted. */
  @Test
  void thePublishedRatesAreTheseFlopsInThisTime() {
    for (Row row : ROWS) {
      double teraflops = row.flops() / row.published * 1e-6;
      assertEquals(row.teraflops, teraflops, 1, row.toString());
    }
  }

  @Test
  void thePageHasTheModelsTimes() throws IOException {
    String page = Files.readString(Path.of("../docs/planning-paper.md"));
    Node node = Node.KNOWN.get("dgx-b200");
    for (Row row : ROWS) {
      assertTrue(page.contains(row.line(node)), row.line(node));
    }
  }
}
