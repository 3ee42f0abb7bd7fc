package panamoe.djl;

import ai.djl.engine.Engine;
import ai.djl.engine.EngineProvider;

/** Registers {@link PanamoeEngine} with DJL by {@link java.util.ServiceLoader}. */
public final class PanamoeEngineProvider implements EngineProvider {
  /** For {@link java.util.ServiceLoader}. */
  public PanamoeEngineProvider() {}

  @Override
  public String getEngineName() {
    return PanamoeEngine.NAME;
  }

  @Override
  public int getEngineRank() {
    return PanamoeEngine.RANK;
  }

  @Override
  public Engine getEngine() {
    return PanamoeEngine.instance();
  }
}
