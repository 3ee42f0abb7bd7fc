package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.engine.routes.RouteStatistics;

class RouteTableTest {
  @Test
  void showsShares() {
    long[] tokens = {0, 1, 3, 4};
    double[] weight = {0, 0.5, 0.25, 1};
    RouteStatistics.Layer layer = new RouteStatistics.Layer(3, 4, 1, tokens, weight, 1);
    assertEquals(
        """
        layer 3: 4 experts, 1 for each token; entropy 1.41 of 2.00 bits
             0        0   0.0 %  weight 0.000
             1        1  12.5 %  weight 0.500  ##########
             2        3  37.5 %  weight 0.250  ##############################
             3        4  50.0 %  weight 1.000  ########################################
        """,
        RouteTable.of(new RouteStatistics(List.of(layer))).replace(System.lineSeparator(), "\n"));
  }
}
