package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;

/** {@link GradientMessage} against the parameters that ranks on threads hold. */
class GradientMessageTest {
  static Stream<Topology> topologies() {
    return Stream.of(
        Topology.ONE,
        Topology.of(4),
        new Topology(4, 1, 1, 1),
        new Topology(4, 2, 2, 1),
        new Topology(8, 2, 2, 2));
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void areOfTheElementsThatSeveralRanksHold(Topology topology) {
    ModelConfig config = ModelPresets.paper(256, 4, 4, 8, 1, true);
    List<Long> held =
        ThreadWorld.of(topology.ranks())
            .run(
                world -> {
                  Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
                  try (LanguageModel share = new LanguageModel(config, ranks)) {
                    return share.parameters().parameters().stream()
                        .filter(parameter -> parameter.replicas().size() > 1)
                        .mapToLong(Parameter::count)
                        .sum();
                  }
                });
    try (LanguageModel whole = new LanguageModel(config)) {
      List<GradientMessage> messages = GradientMessage.of(whole, topology);
      assertEquals(
          held.stream().max(Long::compare).orElseThrow(),
          messages.stream().mapToLong(GradientMessage::elements).sum());
    }
  }
}
