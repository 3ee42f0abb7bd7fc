package panamoe.comm;

class ThreadCommunicatorTest extends CommunicatorContract {
  @Override
  protected void run(int ranks, Body body) {
    ThreadWorld.of(ranks)
        .run(
            world -> {
              body.run(world);
              return null;
            });
  }
}
